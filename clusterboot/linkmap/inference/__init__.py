"""From the bandwidth of pairs to the node, link or group that is at fault."""
