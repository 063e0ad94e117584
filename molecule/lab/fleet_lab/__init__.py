"""Throw-away hosts for the collection's tests and its demo, on one machine.

Layers, each knowing only those above it:

    spec        what a lab is: its hosts, and every name derived from its identity (pure)
    machine     what this machine has that its hosts need: mirror, resolvers, pip, proxies (pure)
    system      running programs, locks, progress lines
    images      a Debian root file system a release, built once and cached
    network     one bridge, one subnet, one nftables table a lab
    hosts       the files that make an image a host
    nspawn      the driver: how a host is started, seen and stopped
    lab         up, down and status of a lab as a whole
    cli         the command line
"""
