"""How clients reach dmcp: its own standard input and output."""
