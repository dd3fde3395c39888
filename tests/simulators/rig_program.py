"""Hands what it reads on to the rig's server, and prints the answer: a program as somebody may have one."""

import sys
import urllib.request

request = urllib.request.Request(sys.argv[1], data=sys.stdin.buffer.read(), method="POST")
sys.stdout.buffer.write(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read())
