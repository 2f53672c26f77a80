"""The eras of the protocol: what operations, outcomes and notifications are on the wire. One module for each era."""
