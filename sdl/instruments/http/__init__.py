"""One HTTP request within limits, and addresses that it must not go to: for any driver of a REST interface."""
