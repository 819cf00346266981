//! The identity of a data folder.

use std::io;
use std::path::Path;

use crate::StoreError;
use crate::disk::Disk;

use super::files::{corrupt, io_error};
use super::format::{BLOCK_BYTES, FORMAT_VERSION, HeaderFault, Uuid, finish_block, open_block};
use super::layout::{Layout, unfinished};
use super::options::is_segment_size;

const META_MAGIC: [u8; 8] = *b"LiteMQst";

/// What META says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) database: Uuid,
    pub(super) segment_bytes: u64,
}

/// Reads META; `None` when the folder has none.
pub(super) fn read(disk: &dyn Disk, layout: &Layout) -> Result<Option<Meta>, StoreError> {
    let path = layout.meta();
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&path, &error)),
    };
    let mut block = vec![0; BLOCK_BYTES];
    let bytes = file.read_at(&mut block, 0).map_err(|error| io_error(&path, &error))?;
    if bytes != BLOCK_BYTES {
        return Err(corrupt(&path, bytes as u64, "the file is too short"));
    }
    let mut cut =
        open_block(&block, META_MAGIC).map_err(|fault| header_error(&path, layout, fault))?;
    let mut parse = || Some(Meta { database: cut.array()?, segment_bytes: cut.u64()? });
    let meta = parse().ok_or_else(|| corrupt(&path, 0, "header too short"))?;
    if !is_segment_size(meta.segment_bytes) {
        return Err(corrupt(&path, 0, "no segment can have the size it names"));
    }
    Ok(Some(meta))
}

/// Writes META for the first time.
pub(super) fn create(disk: &dyn Disk, layout: &Layout, meta: &Meta) -> io::Result<()> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    block.extend_from_slice(&META_MAGIC);
    block.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    block.extend_from_slice(&meta.database);
    block.extend_from_slice(&meta.segment_bytes.to_le_bytes());
    let path = layout.meta();
    let fresh = unfinished(&path);
    let file = disk.create(&fresh)?;
    file.write_at(&finish_block(block), 0)?;
    file.sync_data()?;
    disk.rename(&fresh, &path)?;
    disk.sync_dir(&layout.root)
}

/// What a header that cannot be read means for the folder.
pub(super) fn header_error(path: &Path, layout: &Layout, fault: HeaderFault) -> StoreError {
    match fault {
        HeaderFault::Version(found) => StoreError::UnknownFormat {
            path: layout.root.clone(),
            found: found.to_string(),
            supported: FORMAT_VERSION.to_string(),
        },
        HeaderFault::Damaged(what) => corrupt(path, 0, what),
    }
}
