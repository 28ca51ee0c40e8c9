//! The layers of configuration, merged key by key, each value with where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::keys::{Form, KEYS, Key, Secrecy};
use crate::failure::Failure;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Env(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::File(file) => write!(out, "{}", file.display()),
            Self::Env(name) => out.write_str(name),
            Self::Flag(flag) => out.write_str(flag),
        }
    }
}

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    pub(crate) path: &'static str,
    pub(crate) flag: &'static str,
    pub(crate) value: String,
}

/// What is in force, by path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers(BTreeMap<String, (Value, Origin)>);

impl Layers {
    /// Merges defaults, the file, the environment and flags; each wins over those before it.
    pub(crate) fn merge(
        file: Option<&Path>,
        env: &BTreeMap<String, String>,
        flags: &[Flag],
    ) -> Result<Self, Failure> {
        let mut layers = Self::default();
        for key in KEYS {
            if let Some(default) = key.default {
                layers.set_text(key, default, Origin::Default)?;
            }
        }
        match file {
            Some(file) => layers.add_file(file)?,
            None if Path::new("pavane.toml").exists() => {
                layers.add_file(Path::new("pavane.toml"))?
            }
            None => {}
        }
        layers.add_env(env)?;
        for flag in flags {
            let (key, _) = find(flag.path).ok_or_else(|| unknown(flag.path, flag.flag))?;
            layers.set_text(key, &flag.value, Origin::Flag(flag.flag))?;
        }
        Ok(layers)
    }

    /// What is in force, with origins, in the order of the keys' table. `None`: not set.
    pub(crate) fn rows(&self) -> Vec<(String, Option<Value>, Option<Origin>)> {
        let mut rows = Vec::new();
        for key in KEYS {
            let set: Vec<_> = match key.form {
                Form::Table => self.below(key.path).collect(),
                Form::Text | Form::Count | Form::OneOf(_) | Form::Address => {
                    self.0.get_key_value(key.path).into_iter().collect()
                }
            };
            if set.is_empty() {
                rows.push((key.path.to_owned(), None, None));
            }
            for (path, (value, origin)) in set {
                let shown = if is_secret(key, path) { "********".into() } else { value.clone() };
                rows.push((path.clone(), Some(shown), Some(origin.clone())));
            }
        }
        rows
    }

    /// Whether somebody has set this key.
    pub(crate) fn is_set(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|(_, origin)| *origin != Origin::Default)
    }

    /// As a table of sections.
    pub(super) fn nested(&self) -> Table {
        let mut root: Table = KEYS
            .iter()
            .filter_map(|key| key.path.split_once('.'))
            .map(|(section, _)| (section.to_owned(), Value::Table(Table::new())))
            .collect();
        for (path, (value, _)) in &self.0 {
            let Some((section, rest)) = path.split_once('.') else { continue };
            let Some(Value::Table(section)) = root.get_mut(section) else { continue };
            match rest.split_once('.') {
                None => drop(section.insert(rest.to_owned(), value.clone())),
                Some((table, name)) => {
                    let inner = section
                        .entry(table.to_owned())
                        .or_insert_with(|| Value::Table(Table::new()));
                    if let Value::Table(inner) = inner {
                        inner.insert(name.to_owned(), value.clone());
                    }
                }
            }
        }
        root
    }

    fn below<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a (Value, Origin))> {
        let is_below =
            move |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.0.iter().filter(move |(name, _)| is_below(name))
    }

    fn set(&mut self, path: &str, value: Value, origin: Origin) {
        self.0.insert(path.to_owned(), (value, origin));
    }

    fn set_text(&mut self, key: &Key, text: &str, origin: Origin) -> Result<(), Failure> {
        let value = key.read(text).map_err(|wrong| refused(&wrong, &origin))?;
        self.set(key.path, value, origin);
        Ok(())
    }

    fn add_file(&mut self, file: &Path) -> Result<(), Failure> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("the configuration file {shown} can not be read: {error}"))
        })?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            Failure::usage(format!("{shown} is not TOML: {}", error.to_string().trim_end()))
        })?;
        for (section, inner) in table {
            let Value::Table(inner) = inner else {
                return Err(unknown(&section, &shown.to_string()));
            };
            for (name, value) in inner {
                self.add_entry(&format!("{section}.{name}"), value, file)?;
            }
        }
        Ok(())
    }

    fn add_entry(&mut self, path: &str, value: Value, file: &Path) -> Result<(), Failure> {
        let origin = Origin::File(file.to_owned());
        if let Value::Table(inner) = value {
            for (name, value) in inner {
                let path = format!("{path}.{name}");
                let (key, _) = find(&path).ok_or_else(|| unknown(&path, &origin.to_string()))?;
                key.admit(&value).map_err(|wrong| refused(&wrong, &origin))?;
                self.set(&path, value, origin.clone());
            }
            return Ok(());
        }
        if let Some(key) = secret_from_file(path) {
            let named = value.as_str().ok_or_else(|| {
                Failure::usage(format!("`{path}` in {origin} must be the name of a file"))
            })?;
            let beside = file.parent().unwrap_or(Path::new(".")).join(named);
            return self.set_text(key, &read_secret(&beside, path)?, origin);
        }
        let (key, _) = find(path).ok_or_else(|| unknown(path, &origin.to_string()))?;
        key.admit(&value).map_err(|wrong| refused(&wrong, &origin))?;
        self.set(path, value, origin);
        Ok(())
    }

    fn add_env(&mut self, env: &BTreeMap<String, String>) -> Result<(), Failure> {
        for (name, value) in env {
            let origin = Origin::Env(name.clone());
            if let Some(key) = KEYS.iter().find(|key| key.short == Some(name.as_str())) {
                // The long name is the more explicit one, so it wins where both are given.
                if !env.contains_key(&key.env()) {
                    self.set_text(key, value, origin)?;
                }
                continue;
            }
            let Some(rest) = name.strip_prefix("PAVANE_") else { continue };
            // Kubernetes sets names such as PAVANE_PORT for a service called `pavane`; only names with a
            // section are ours to refuse.
            let Some((section, rest)) = rest.split_once("__") else { continue };
            let path = format!("{section}.{}", rest.replace("__", ".")).to_lowercase();
            if let Some(key) = secret_from_file(&path) {
                if env.contains_key(&key.env()) {
                    return Err(Failure::usage(format!(
                        "both {name} and {} are set; leave one of them out",
                        key.env()
                    )));
                }
                self.set_text(key, &read_secret(Path::new(value), name)?, origin)?;
                continue;
            }
            let (key, below) = find(&path).ok_or_else(|| unknown(&path, name))?;
            let path = match below {
                None => path,
                // librdkafka's names have dots, which a name in the environment can not have.
                Some(below) => format!("{}.{}", key.path, below.replace('_', ".")),
            };
            let value = key.read(value).map_err(|wrong| refused(&wrong, &origin))?;
            self.set(&path, value, origin);
        }
        Ok(())
    }
}

/// The key of a path, and what stands below it where the key is a table.
fn find(path: &str) -> Option<(&'static Key, Option<&str>)> {
    KEYS.iter().find_map(|key| match (key.form, path.strip_prefix(key.path)) {
        (Form::Table, Some(rest)) => rest.strip_prefix('.').map(|below| (key, Some(below))),
        (Form::Text | Form::Count | Form::OneOf(_) | Form::Address, Some("")) => Some((key, None)),
        (Form::Text | Form::Count | Form::OneOf(_) | Form::Address | Form::Table, _) => None,
    })
}

fn secret_from_file(path: &str) -> Option<&'static Key> {
    let (key, _) = find(path.strip_suffix("_file")?)?;
    (key.secrecy == Secrecy::Secret).then_some(key)
}

fn read_secret(file: &Path, named_by: &str) -> Result<String, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => Err(Failure::usage(format!(
            "the file {}, which {named_by} names, can not be read: {error}",
            file.display()
        ))),
    }
}

/// Properties are librdkafka's own, so that only their names tell which are secret.
fn is_secret(key: &Key, path: &str) -> bool {
    let hints = ["password", "secret", "key.pem", "jwt", "token"];
    key.secrecy == Secrecy::Secret
        || key.form == Form::Table && hints.iter().any(|hint| path.contains(hint))
}

fn refused(wrong: &str, origin: &Origin) -> Failure {
    Failure::usage(format!("{wrong} (from {origin})")).next("pavane config --keys")
}

fn unknown(path: &str, origin: &str) -> Failure {
    let nearest = KEYS
        .iter()
        .map(|key| (strsim::jaro_winkler(path, key.path), key.path))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .filter(|(likeness, _)| *likeness > 0.7);
    let hint = nearest.map(|(_, near)| format!("; did you mean `{near}`?")).unwrap_or_default();
    Failure::usage(format!("`{path}` (from {origin}) is not a configuration key{hint}"))
        .next("pavane config --keys")
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn merged(file: &str, env: &[(&str, &str)], flags: &[Flag]) -> Result<Layers, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pavane.toml");
        std::fs::write(&path, file).unwrap();
        std::fs::write(folder.path().join("secret"), "s3cret\n").unwrap();
        let env =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Layers::merge(Some(&path), &env, flags)
    }

    fn row(layers: &Layers, path: &str) -> (String, String) {
        let rows = layers.rows();
        let (_, value, origin) = rows.iter().find(|row| row.0 == path).unwrap();
        (super::super::shown(&value.clone().unwrap()), origin.clone().unwrap().to_string())
    }

    #[test]
    fn each_layer_wins_over_those_before_it() {
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let file = "[gateway]\nlisten = \"127.0.0.1:1\"\n[kafka]\npartitions = 2\n";
        let env = [("PAVANE_GATEWAY__LISTEN", "127.0.0.1:2")];
        let flag = Flag { path: "gateway.listen", flag: "--listen", value: listen(3) };
        let layers = merged(file, &env, &[flag]).unwrap();
        assert_eq!(row(&layers, "gateway.listen"), (format!("{:?}", listen(3)), "--listen".into()));
        let layers = merged(file, &env, &[]).unwrap();
        assert_eq!(row(&layers, "gateway.listen").1, "PAVANE_GATEWAY__LISTEN");
        assert_eq!(Config::of(&layers).unwrap().kafka.partitions, 2);
        assert!(layers.is_set("kafka.partitions") && !layers.is_set("kafka.prefix"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known() {
        for (file, env) in [
            ("[gateway]\nlisen = \"x\"\n", [].as_slice()),
            ("", &[("PAVANE_GATEWAY__LISTN", "127.0.0.1:1")]),
        ] {
            let failure = merged(file, env, &[]).unwrap_err();
            assert!(failure.message.contains("did you mean `gateway.listen`"), "{failure}");
            assert_eq!(failure.exit_code(), 2);
        }
        assert!(merged("", &[("PAVANE_PORT_7070_TCP", "x")], &[]).is_ok());
    }

    #[test]
    fn a_wrong_value_says_what_is_wanted_and_whence_it_came() {
        let failure = merged("[kafka]\npartitions = \"many\"\n", &[], &[]).unwrap_err();
        assert!(failure.message.contains("must be a whole number"), "{failure}");
        assert!(failure.message.contains("pavane.toml"), "{failure}");
        let failure = merged("", &[("PAVANE_LOCAL__DURABILITY", "maybe")], &[]).unwrap_err();
        assert!(failure.message.contains("one of disk, os"), "{failure}");
    }

    #[test]
    fn secrets_come_from_files_and_are_never_shown() {
        let layers = merged("[kafka]\npassword_file = \"secret\"\n", &[], &[]).unwrap();
        assert_eq!(row(&layers, "kafka.password").0, "\"********\"");
        assert_eq!(Config::of(&layers).unwrap().kafka.password.as_deref(), Some("s3cret"));
        let both = [("PAVANE_KAFKA__PASSWORD", "a"), ("PAVANE_KAFKA__PASSWORD_FILE", "/b")];
        assert!(merged("", &both, &[]).is_err());
        let property = [("PAVANE_KAFKA__PROPERTIES__SSL_KEYSTORE_PASSWORD", "hush")];
        let layers = merged("", &property, &[]).unwrap();
        assert_eq!(row(&layers, "kafka.properties.ssl.keystore.password").0, "\"********\"");
        let properties = Config::of(&layers).unwrap().kafka.properties;
        assert_eq!(properties.get("ssl.keystore.password").map(String::as_str), Some("hush"));
    }

    #[test]
    fn every_key_reaches_the_typed_form() {
        let env: BTreeMap<String, String> = KEYS
            .iter()
            .filter(|key| key.form != Form::Table)
            .map(|key| {
                let value = match key.form {
                    Form::Count => "7",
                    Form::OneOf(words) => words[0],
                    Form::Address => "127.0.0.1:1",
                    Form::Text | Form::Table => "text",
                };
                (key.env(), value.to_owned())
            })
            .collect();
        let layers = Layers::merge(Some(Path::new("/dev/null")), &env, &[]).unwrap();
        Config::of(&layers).unwrap();
        let empty = Layers::merge(Some(Path::new("/dev/null")), &BTreeMap::new(), &[]).unwrap();
        Config::of(&empty).unwrap();
    }
}
