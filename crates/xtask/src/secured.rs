//! A broker's door with TLS and SCRAM, with certificates made on the spot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::host::{need, run};

/// The one user who may come in, as Kafka's storage tool is told of them.
pub(crate) const USER: &str = "SCRAM-SHA-512=[name=pavane,password=pavane-secret]";

/// Where the certificate of the signing authority is put.
pub(crate) fn authority(folder: &Path) -> PathBuf {
    folder.join("authority.pem")
}

/// Makes an authority and the broker's certificate in `folder`; gives the broker's settings.
pub(crate) fn settings(folder: &Path) -> Result<String> {
    need(&[("openssl", &["version"], &["openssl"])])?;
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
    fs::write(folder.join("names"), names)?;
    let new = ["req", "-newkey", "rsa:2048", "-nodes"];
    openssl(
        folder,
        &new,
        "-x509 -days 2 -subj /CN=tests -keyout authority.key -out authority.pem",
    )?;
    openssl(folder, &new, "-subj /CN=localhost -keyout broker.key -out broker.csr")?;
    let sign = "-in broker.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2";
    openssl(folder, &["x509", "-req"], &format!("{sign} -extfile names -out broker.crt"))?;
    let parts = ["broker.key", "broker.crt", "authority.pem"];
    let texts: Result<Vec<String>, _> =
        parts.iter().map(|part| fs::read_to_string(folder.join(part))).collect();
    let store = folder.join("broker.pem");
    fs::write(&store, texts?.concat())?;
    let login = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    Ok(format!(
        "sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={login}
ssl.keystore.type=PEM
ssl.keystore.location={store}
",
        store = store.display(),
    ))
}

fn openssl(folder: &Path, verb: &[&str], rest: &str) -> Result<()> {
    run(Command::new("openssl")
        .args(verb)
        .args(rest.split(' '))
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null()))
}
