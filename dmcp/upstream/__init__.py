"""How dmcp reaches servers: stdio, Streamable HTTP, HTTP+SSE, and functions in this process."""
