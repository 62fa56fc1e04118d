#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs to read a bundle of CA certificates for a connection: ca_bundle.py [BUILD]

Runs `fleetfs --check` in turns with a bundle of one CA and with the system's bundle and that CA, on a
TLS server of 127.0.0.1. Each run makes one connection, so the difference in processor time is the cost
of the system's bundle."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from rig import HERE, alternate  # also makes the modules of the mount tests importable
from scripted import Server
from tls import context, make_certificates

ROUNDS = 40
SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")


def milliseconds(program, server, bundle):
    """The processor time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "--check", f"--cacert={bundle}", server.url], check=True,
                   env={**os.environ, "FLEETFS_TOKEN": "sk-sim"}, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def main(build):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_certificates(folder)
        large = folder / "large.pem"
        large.write_bytes((folder / "ca.pem").read_bytes() + SYSTEM.read_bytes())
        server = Server(context=context(folder, "right"))
        try:
            program = build / "fleetfs"
            found = alternate(ROUNDS, [
                ("one", lambda: milliseconds(program, server, folder / "ca.pem")),
                ("all", lambda: milliseconds(program, server, large))])
        finally:
            server.stop()
    count = SYSTEM.read_text().count("BEGIN CERTIFICATE")
    print(f"processor time of one run, median of {ROUNDS}: {found['one']:.1f} ms with one CA, "
          f"{found['all']:.1f} ms with {count} more: {found['all'] - found['one']:.1f} ms for the bundle")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent.parent / "build").resolve())
