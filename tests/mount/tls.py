# SPDX-License-Identifier: MIT
"""Certificates for the tests, made when they run."""

import ssl
import subprocess


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *map(str, arguments)], cwd=cwd, check=True, capture_output=True)


def make_certificates(folder):
    """Makes a CA, certificates of it for 127.0.0.1, localhost and another host, an expired one and a
    self-signed one. NAME.both also contains the key."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name, extension in (("ca", "keyUsage=critical,keyCertSign,cRLSign"),
                            ("self-signed", "subjectAltName=IP:127.0.0.1")):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "9",
                "-subj", f"/CN={name}", "-addext", extension, cwd=folder)
    (folder / "index").touch()
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca=it\n[it]\ndatabase=index\nnew_certs_dir=.\ncertificate=ca.pem\n"
        "private_key=ca.key\ndefault_md=sha256\nrand_serial=yes\npolicy=any\ncopy_extensions=copy\n"
        "unique_subject=no\nx509_extensions=leaf\n[any]\ncommonName=supplied\n"
        # Python 3.13 rejects a certificate without it, and a CA without keyUsage.
        "[leaf]\nauthorityKeyIdentifier=keyid\n")
    for name, names, valid in (
            ("right", "IP:127.0.0.1", ("20200101000000Z", "20990101000000Z")),
            ("localhost", "DNS:localhost,IP:127.0.0.1", ("20200101000000Z", "20990101000000Z")),
            ("elsewhere", "DNS:elsewhere.example,IP:127.0.0.2", ("20200101000000Z",
                                                                 "20990101000000Z")),
            ("expired", "IP:127.0.0.1", ("20200101000000Z", "20210101000000Z")),
            ("not yet valid", "IP:127.0.0.1", ("20980101000000Z", "20990101000000Z"))):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName={names}", cwd=folder)
        openssl("ca", "-batch", "-config", "ca.conf", "-in", f"{name}.csr", "-out", f"{name}.pem",
                "-notext", "-startdate", valid[0], "-enddate", valid[1], cwd=folder)
        (folder / f"{name}.both").write_text((folder / f"{name}.pem").read_text()
                                             + (folder / f"{name}.key").read_text())


def context(certificates, name, **settings):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    for setting, value in settings.items():
        setattr(made, setting, value)
    return made
