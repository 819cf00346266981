//! A ceiling on the memory of the broker, by a control group.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tool;

const V1: &str = "/sys/fs/cgroup/memory";
const V2: &str = "/sys/fs/cgroup";

/// A control group of its own; gone when dropped, if it is empty by then.
#[derive(Debug)]
pub(crate) struct Ceiling {
    group: PathBuf,
    file: &'static str,
}

/// Why it cannot be used on this machine.
pub(crate) fn missing() -> Option<String> {
    if !tool::is_root() {
        return Some("control groups need root".to_owned());
    }
    Ceiling::set(1 << 30).err()
}

impl Ceiling {
    pub(crate) fn set(bytes: u64) -> Result<Self, String> {
        let (root, file) = if Path::new(V1).join("memory.limit_in_bytes").exists() {
            (V1, "memory.limit_in_bytes")
        } else {
            let control = Path::new(V2).join("cgroup.subtree_control");
            fs::write(&control, "+memory").map_err(|error| tell(&control, &error))?;
            (V2, "memory.max")
        };
        let group = Path::new(root).join(format!("litemq-torture-{}", std::process::id()));
        fs::create_dir_all(&group).map_err(|error| tell(&group, &error))?;
        let ceiling = Self { group, file };
        ceiling.change(bytes)?;
        Ok(ceiling)
    }

    pub(crate) fn change(&self, bytes: u64) -> Result<(), String> {
        let limit = self.group.join(self.file);
        fs::write(&limit, bytes.to_string()).map_err(|error| tell(&limit, &error))?;
        // Without this a machine with swap only gets slow.
        drop(fs::write(self.group.join("memory.swap.max"), "0"));
        Ok(())
    }

    /// A command that enters it and becomes the program behind.
    pub(crate) fn wrapper(&self) -> Vec<OsString> {
        let enter = "echo $$ > \"$0\" && exec \"$@\"";
        let door = self.group.join("cgroup.procs").into_os_string();
        vec!["/bin/sh".into(), "-c".into(), enter.into(), door]
    }
}

impl Drop for Ceiling {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.group));
    }
}

fn tell(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
