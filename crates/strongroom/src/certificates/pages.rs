//! How each kind of device comes to trust an authority: for the terminal, and as a page to print.

use crate::certificates::model::Authority;

/// What to do on one kind of device.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Which kind.
    pub device: &'static str,
    /// What to do there, one sentence or command a line; a command begins with `$`.
    pub lines: &'static [&'static str],
}

/// Every kind of device we know the way for.
pub fn steps() -> &'static [Step] {
    STEPS
}

/// The page to print. It holds nothing secret.
pub fn trust_page(authority: &Authority) -> String {
    let names: Vec<String> = authority.names.iter().map(ToString::to_string).collect();
    let mut devices = String::new();
    for step in STEPS {
        devices.push_str(&format!("<section>\n<h2>{}</h2>\n<ol>\n", escape(step.device)));
        for line in step.lines {
            devices.push_str(&match line.strip_prefix("$ ") {
                Some(command) => format!("<li><code>{}</code></li>\n", escape(command)),
                None => format!("<li>{}</li>\n", escape(line)),
            });
        }
        devices.push_str("</ol>\n</section>\n");
    }
    let until: String = authority.until.to_rfc3339().chars().take(10).collect();
    PAGE.replace("{names}", &escape(&names.join(", ")))
        .replace("{fingerprint}", &escape(&authority.fingerprint))
        .replace("{until}", &until)
        .replace("{devices}", devices.trim_end())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const PAGE: &str = include_str!("pages/trust.html");

const STEPS: &[Step] = &[
    Step {
        device: "Windows (Edge, Chrome)",
        lines: &[
            "Open PowerShell as administrator in the folder of the file. The fingerprint, to compare:",
            "$ (Get-PfxCertificate strongroom-ca.crt).GetCertHashString('SHA256')",
            "Trust it:",
            "$ certutil -addstore -f Root strongroom-ca.crt",
            "Close the browser and open it again.",
        ],
    },
    Step {
        device: "macOS (Safari, Chrome)",
        lines: &[
            "Open Terminal in the folder of the file. The fingerprint, to compare:",
            "$ openssl x509 -in strongroom-ca.crt -noout -fingerprint -sha256",
            "Trust it; your password is asked for:",
            "$ sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain \
             strongroom-ca.crt",
        ],
    },
    Step {
        device: "iPhone and iPad",
        lines: &[
            "Send the file to the device (AirDrop or mail) and open it there: \"Profile Downloaded\".",
            "Settings > General > VPN & Device Management > the profile > Install. More Details shows \
             the fingerprint: compare it first.",
            "Settings > General > About > Certificate Trust Settings: switch it on.",
        ],
    },
    Step {
        device: "Android",
        lines: &[
            "Copy the file to the device.",
            "Settings > Security & privacy > More > Encryption & credentials > Install a certificate > \
             CA certificate > Install anyway; choose the file.",
            "Trusted credentials > User shows it with its fingerprint: compare it, and remove it if it \
             differs.",
            "Firefox on Android: Settings > About Firefox, touch the logo five times; then Secret \
             Settings > Use third party CA certificates.",
        ],
    },
    Step {
        device: "Firefox (any computer)",
        lines: &[
            "Settings > Privacy & Security > View Certificates > Authorities > Import; choose the file.",
            "View shows the fingerprint: compare it, then tick \"Trust this CA to identify websites\".",
        ],
    },
    Step {
        device: "Linux",
        lines: &[
            "The fingerprint, to compare:",
            "$ openssl x509 -in strongroom-ca.crt -noout -fingerprint -sha256",
            "For programs, on Debian and Ubuntu:",
            "$ sudo cp strongroom-ca.crt /usr/local/share/ca-certificates/ && sudo update-ca-certificates",
            "For programs, on Fedora and the like:",
            "$ sudo trust anchor strongroom-ca.crt",
            "For Chrome and Chromium, as the person who uses them (certutil is in the package \
             libnss3-tools or nss-tools):",
            "$ mkdir -p $HOME/.pki/nssdb",
            "$ certutil -d sql:$HOME/.pki/nssdb -A -t \"C,,\" -n strongroom -i strongroom-ca.crt",
        ],
    },
];
