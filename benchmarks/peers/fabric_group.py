"""Stock Fabric: a ThreadingGroup through one gateway, known hosts unchecked as it comes."""

import sys

from fabric import Connection, ThreadingGroup

head, head_key, user, node_key, command, *nodes = sys.argv[1:]
gateway = Connection(head, user=user, connect_kwargs={"key_filename": head_key})
gateway.open()
group = ThreadingGroup(*nodes, user=user, gateway=gateway, connect_kwargs={"key_filename": node_key})
group.run(command, hide=True)
