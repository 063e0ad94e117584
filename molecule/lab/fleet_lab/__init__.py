# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away hosts for the collection's tests and its demo, on one machine.

Layers, each knowing only those above it:

    spec        what a lab is: its hosts, and every name derived from its identity (pure)
    machine     what this machine has that its hosts need: mirror, resolvers, pip, proxies (pure)
    system      running programs, locks, progress lines
    images      a Debian root file system a release, built once and cached
    network     one bridge, one subnet, one nftables table a lab
    hosts       the files that make an image a host
    driver      what a lab asks of whatever runs its hosts
    nspawn      the driver for hosts that share this machine's kernel
    record      what is written down about a lab
    facts       what others read about it: inventory, ssh's configuration, molecule's
    preflight   what the machine has to have, said before anything is done
    lab         up and down of a lab as a whole
    cli         the command line
"""
