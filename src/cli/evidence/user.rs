//! The user that runs the program, as the kernel and the machine's list of users have it.

use crate::cli::settings::variable;
use crate::disk::Disk;
use std::path::Path;

/// The machine's list of users. Users of a directory service are not in it: of those only the number is known.
const USERS: &str = "/etc/passwd";

/// Longest list that is read, in bytes.
const MAX_LIST_BYTES: usize = 16 << 20;

/// The user of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// Real user id.
    pub(super) uid: u32,
    /// Effective user id, where that is another one.
    pub(super) effective_uid: Option<u32>,
    /// Name of the real user; `None` where the machine's list has none.
    pub(super) name: Option<String>,
    /// Name that the environment gives, where that is another one. The user who starts the program can set it.
    pub(super) claimed: Option<String>,
}

impl User {
    /// Returns the user of this process.
    pub(super) fn current(disk: &dyn Disk) -> Self {
        let (uid, effective) = (rustix::process::getuid().as_raw(), rustix::process::geteuid().as_raw());
        let list = disk.read(Path::new(USERS), MAX_LIST_BYTES).unwrap_or_default();
        let name = name(&String::from_utf8_lossy(&list), uid);
        let said = ["SUDO_USER", "USER"].into_iter().filter_map(variable).find(|name| !name.is_empty());
        let claimed = said.map(|name| name.to_string_lossy().into_owned());
        Self {
            uid,
            effective_uid: (effective != uid).then_some(effective),
            claimed: claimed.filter(|claimed| name.as_ref() != Some(claimed)),
            name,
        }
    }
}

/// Returns the name of a user in a list of lines `name:password:uid:..`; the first one counts, as for the system.
fn name(list: &str, uid: u32) -> Option<String> {
    list.lines().filter(|line| !line.starts_with(['#', '+', '-'])).find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (!name.is_empty() && number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_first_name_of_its_number_in_the_list() {
        let list = "root:x:0:0:root:/root:/bin/sh\n# ann:x:7:7::/:/bin/sh\nbob:x:7:7::/:/bin/sh\ntoor:x:0:0::/:\n\
                    :x:8:8::/:\nodd\nlong:x:4294967296:1::/:\nmore:x: 9:9::/:\n";
        assert_eq!(name(list, 0).as_deref(), Some("root"));
        assert_eq!(name(list, 7).as_deref(), Some("bob"));
        assert_eq!((name(list, 8), name(list, 9), name(list, 61_234)), (None, None, None));
    }
}
