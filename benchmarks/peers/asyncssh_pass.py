"""asyncssh: 32 at a time through one connection to the head, known hosts checked."""

import asyncio
import sys

import asyncssh

known_hosts, head, head_key, user, node_key, command, *nodes = sys.argv[1:]


async def main() -> None:
    limit = asyncio.Semaphore(32)
    options = {"username": user, "known_hosts": known_hosts, "config": None, "agent_path": None}
    async with asyncssh.connect(head, client_keys=[head_key], **options) as tunnel:

        async def one(node: str) -> None:
            async with limit, asyncssh.connect(node, tunnel=tunnel, client_keys=[node_key], **options) as way:
                await way.run(command, check=True)

        await asyncio.gather(*map(one, nodes))


asyncio.run(main())
