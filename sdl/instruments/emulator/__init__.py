"""A server that answers for any instrument over Claude-Light's REST interface, with faults on request."""
