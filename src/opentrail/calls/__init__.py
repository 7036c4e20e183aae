"""The call: one request being served; the operations that serve it; and the calls that services make themselves."""
