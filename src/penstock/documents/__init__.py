"""How raw records become events: the event stage of an adapter."""
