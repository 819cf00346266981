//! A file system of its own for the data folder, whose power can be cut: what was not synced is gone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::tool;

/// Stops a file system as a power cut does: the number of the ioctl and the flag that says not even the
/// journal is written out. Both ext4 and xfs know it.
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// Why it cannot be used on this machine.
    pub(crate) fn missing(self) -> Option<String> {
        let make = format!("mkfs.{}", self.name());
        let is_known = fs::read_to_string("/proc/filesystems")
            .is_ok_and(|known| known.split_whitespace().any(|word| word == self.name()));
        tool::missing(&[&make, "mount", "umount", "losetup", "python3"])
            .or_else(|| (!is_known).then(|| format!("the kernel has no {}", self.name())))
            .or_else(|| (!tool::is_root()).then(|| "mounting needs root".to_owned()))
            .or_else(|| {
                let free = tool::run("losetup", ["-f"]);
                free.is_err().then(|| "no loop device".to_owned())
            })
    }
}

/// A file system in an image file, mounted through a loop device.
#[derive(Debug)]
pub(crate) struct Volume {
    image: PathBuf,
    mount: PathBuf,
    is_mounted: bool,
}

impl Volume {
    /// Makes and mounts it below `folder`.
    pub(crate) fn make(folder: &Path, kind: FileSystem, bytes: u64) -> Result<Self, String> {
        let (image, mount) = (folder.join("volume.img"), folder.join("volume"));
        File::create(&image).and_then(|file| file.set_len(bytes)).map_err(|e| e.to_string())?;
        fs::create_dir_all(&mount).map_err(|error| error.to_string())?;
        tool::run(&format!("mkfs.{}", kind.name()), ["-q".as_ref(), image.as_os_str()])?;
        let mut volume = Self { image, mount, is_mounted: false };
        volume.mount()?;
        Ok(volume)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// From here on nothing reaches the disk, and nothing is written back.
    pub(crate) fn cut(&self) -> Result<(), String> {
        tool::run("python3", ["-c".as_ref(), CUT.as_ref(), self.mount.as_os_str()]).map(drop)
    }

    /// The power is back: what the disk has is all there is. Nobody may have files open.
    pub(crate) fn restore(&mut self) -> Result<(), String> {
        tool::run("umount", [&self.mount])?;
        self.is_mounted = false;
        self.mount()
    }

    fn mount(&mut self) -> Result<(), String> {
        tool::run(
            "mount",
            ["-o".as_ref(), "loop".as_ref(), self.image.as_os_str(), self.mount.as_os_str()],
        )?;
        self.is_mounted = true;
        Ok(())
    }

    /// Shows that a cut does what it says: a synced file stays, an unsynced one goes.
    pub(crate) fn prove(&mut self) -> Result<(), String> {
        let (synced, unsynced) = (self.mount.join("synced"), self.mount.join("unsynced"));
        let write = |path: &Path, sync: bool| -> std::io::Result<()> {
            fs::write(path, "x")?;
            if sync {
                File::open(path)?.sync_all()?;
                File::open(path.parent().unwrap())?.sync_all()?;
            }
            Ok(())
        };
        write(&synced, true).and_then(|()| write(&unsynced, false)).map_err(|e| e.to_string())?;
        self.cut()?;
        self.restore()?;
        match (fs::read(&synced), unsynced.exists()) {
            (Ok(bytes), false) if bytes == b"x" => Ok(()),
            (synced, unsynced) => Err(format!(
                "a power cut proves nothing here: the synced file reads {synced:?}, the other is there: {unsynced}"
            )),
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.is_mounted && tool::run("umount", [&self.mount]).is_err() {
            drop(tool::run("umount", ["-l".as_ref(), self.mount.as_os_str()]));
        }
    }
}
