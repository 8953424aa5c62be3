"""The files of one home: what is there, what is added, how it is put there and taken back."""
