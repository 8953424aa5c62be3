"""How a node is asked: questions, the framed script that carries them, and what a session is."""
