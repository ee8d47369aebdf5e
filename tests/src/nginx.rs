//! nginx in front of a relay, with the configuration that docs/deploy/nginx.conf tells an operator to use; only names,
//! places and ports are put in.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// The name of the page in the documented configuration.
pub const NAME: &str = "lab.school.example";

/// A running nginx. Ends with the value.
pub struct Nginx {
    _child: Child,
    _folder: tempfile::TempDir,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

impl Nginx {
    /// Starts nginx with a certificate of its own in front of the relay at this address (`127.0.0.1:PORT`).
    ///
    /// # Errors
    /// If nginx is missing or refuses its configuration; the text has its log.
    pub async fn start(relay: &str) -> Result<Nginx> {
        let folder = tempfile::tempdir()?;
        let place = folder.path().display();
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()])?;
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem())?;
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem())?;
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/nginx.conf");
        let mut site = std::fs::read_to_string(documented)?;
        for (old, new) in [
            ("listen 443 ssl;", format!("listen {address} ssl;")),
            ("/etc/ssl/lab.school.example.pem", format!("{place}/cert.pem")),
            ("/etc/ssl/lab.school.example.key", format!("{place}/key.pem")),
            ("http://127.0.0.1:8080", format!("http://{relay}")),
        ] {
            ensure!(site.contains(old), "docs/deploy/nginx.conf has no {old:?}");
            site = site.replace(old, &new);
        }
        std::fs::write(folder.path().join("site.conf"), site)?;
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("{what}_temp_path {place}/{what};\n"))
            .collect();
        let main = format!(
            "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log info;\n\
             events {{}}\nhttp {{ include /etc/nginx/mime.types; access_log off;\n\
             {temporary}include {place}/site.conf; }}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), main)?;
        let mut child = Command::new("nginx")
            .args(["-c", &format!("{place}/nginx.conf"), "-e", &format!("{place}/error.log")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start nginx; `cargo xtask test` installs it")?;
        let start = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = child.try_wait()? {
                let log = std::fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
                bail!("nginx: {status}: {log}");
            }
            ensure!(start.elapsed() < crate::PATIENCE, "nginx does not listen");
            // It says nowhere else that it listens.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Nginx { _child: child, _folder: folder, port: address.port() })
    }

    /// The page's address.
    pub fn url(&self) -> String {
        format!("https://{NAME}:{}", self.port)
    }
}
