//! Every command and what it needs. A new command is a line here, and a row in the test that runs it.

use crate::iam::{Need, On, Only, Task};

const ON_SNAPSHOTS: &[On] = &[On::Snapshots];
const ON_ANYTHING: &[On] = &[On::Anything];
const ON_KEYS: &[On] = &[On::Keys];

const fn ebs(action: &'static str) -> Need {
    Need::of(action, ON_SNAPSHOTS)
}

const fn asked(action: &'static str) -> Need {
    Need::of(action, ON_ANYTHING)
}

const fn key(action: &'static str, why: &'static str) -> Need {
    Need::of(action, ON_KEYS).unseen(why)
}

const LIST: &[Need] = &[ebs("ebs:ListSnapshotBlocks")];
const CHANGED: &[Need] = &[ebs("ebs:ListChangedBlocks")];
const READ: &[Need] = &[ebs("ebs:ListSnapshotBlocks"), ebs("ebs:GetSnapshotBlock")];
const WRITE: &[Need] = &[ebs("ebs:StartSnapshot"), ebs("ebs:PutSnapshotBlock"), ebs("ebs:CompleteSnapshot")];
const TAG_SNAPSHOTS: &[Need] = &[Need::of("ec2:CreateTags", ON_SNAPSHOTS).unseen(
    "StartSnapshot checks it where the snapshot is made with tags (EBS user guide, ebsapi-permissions)",
)];

/// What snapshots are; where it is denied, commands other than these three go on without it: `list`, `cost`, and
/// whatever takes `--tag`.
const SNAPSHOTS: &[Need] = &[asked("ec2:DescribeSnapshots")];
const VOLUMES: &[Need] = &[asked("ec2:DescribeVolumes")];
const INITIALIZATION: &[Need] = &[asked("ec2:DescribeVolumeStatus")];
const BIN: &[Need] = &[asked("ec2:ListSnapshotsInRecycleBin")];

/// What stands against deleting snapshots. What is denied is reported as unknown.
const HOLDS: &[Need] = &[
    asked("ec2:DescribeFastSnapshotRestores"),
    asked("ec2:DescribeImages"),
    asked("ec2:DescribeLaunchTemplateVersions"),
    asked("ec2:DescribeLockedSnapshots"),
    asked("ec2:DescribeSnapshotTierStatus"),
    asked("ec2:ListImagesInRecycleBin"),
];
const SHARES: &[Need] = &[asked("ec2:DescribeSnapshotAttribute")];

/// Reading blocks decrypts them (EBS user guide, "ebsapi-faq").
const DECRYPT: &[Need] = &[key("kms:Decrypt", "GetSnapshotBlock decrypts blocks in the caller's name")];

/// What EBS does with a key in the caller's name when something encrypted is made (EBS user guide,
/// "ebsapi-permissions").
const ENCRYPT: &[Need] = &[
    key("kms:Decrypt", "EBS reads the data key of what is encrypted"),
    key("kms:DescribeKey", "EBS looks whether the key can be used"),
    key("kms:Encrypt", "EBS keeps data keys encrypted"),
    key("kms:GenerateDataKey", "EBS makes a data key for a new snapshot"),
    key("kms:GenerateDataKeyWithoutPlaintext", "EBS makes a data key for a new snapshot or volume"),
    key("kms:ReEncrypt*", "EBS moves data from one key to another"),
    key("kms:CreateGrant", "EBS lets itself use the key later").only(Only::ForAws),
];

const fn task(name: &'static str, needs: &'static [&'static [Need]], of_keys: &'static [Need]) -> Task {
    Task { name, like: &[], needs, of_keys }
}

const ON_VOLUMES: &[On] = &[On::Volumes];
const ON_BOTH: &[On] = &[On::Volumes, On::Instances];
const INSTANCES: &[Need] = &[asked("ec2:DescribeInstances")];
const BINNED_VOLUMES: &[Need] = &[asked("ec2:ListVolumesInRecycleBin")];

/// Making volumes.
const MAKE_VOLUMES: &[Need] = &[
    Need::of("ec2:CreateVolume", ON_VOLUMES).only(Only::TaggedByUs),
    Need::of("ec2:CreateTags", ON_VOLUMES)
        .only(Only::Making("CreateVolume"))
        .unseen("CreateVolume checks it where the volume is made with tags"),
];
const DELETE_VOLUMES: &[Need] = &[Need::of("ec2:DeleteVolume", ON_VOLUMES).only(Only::Ours)];

/// Instances carry no tag of ours, and both actions are checked against the volume and the instance (EC2 user guide,
/// "security_iam_id-based-policy-examples").
const ATTACH: &[Need] = &[Need::of("ec2:AttachVolume", ON_BOTH)];
const DETACH: &[Need] = &[Need::of("ec2:DetachVolume", ON_BOTH)];

/// Marking volumes of others, and taking the marks off.
const MARK_VOLUMES: &[Need] = &[Need::of("ec2:CreateTags", ON_VOLUMES).only(Only::TaggedByUs)];
const UNMARK_VOLUMES: &[Need] = &[Need::of("ec2:DeleteTags", ON_VOLUMES).only(Only::Ours)];

/// What EC2 does with a key in the caller's name when an encrypted volume is attached (EBS user guide,
/// "ebs-encryption-requirements"), and what reading its snapshot takes.
const ATTACH_ENCRYPTED: &[Need] = &[
    key(
        "kms:Decrypt",
        "EC2 reads the data key of an encrypted volume that is attached, EBS that of its snapshot",
    ),
    key("kms:CreateGrant", "EC2 lets the instance use the key of an encrypted volume").only(Only::ForAws),
];

/// Commands that ask AWS for something.
pub const TASKS: &[Task] = &[
    task("list", &[SNAPSHOTS], &[]),
    task("show", &[LIST, SNAPSHOTS], &[]),
    task("blocks", &[LIST, SNAPSHOTS], &[]),
    // Which of two is not there, a listing of each tells.
    task("diff", &[LIST, CHANGED, SNAPSHOTS], &[]),
    task("diff --content", &[READ, CHANGED, SNAPSHOTS], DECRYPT),
    task("export", &[READ, SNAPSHOTS], DECRYPT),
    task("export --since", &[READ, CHANGED, SNAPSHOTS], DECRYPT),
    task("import", &[LIST, WRITE, SNAPSHOTS], ENCRYPT),
    task("import --tag", &[LIST, WRITE, SNAPSHOTS, TAG_SNAPSHOTS], ENCRYPT),
    task("import --parent", &[READ, WRITE, SNAPSHOTS, TAG_SNAPSHOTS], ENCRYPT),
    task("manifest", &[READ, SNAPSHOTS], DECRYPT),
    task("manifest --base", &[READ, CHANGED, SNAPSHOTS], DECRYPT),
    task("verify", &[READ, SNAPSHOTS, VOLUMES], DECRYPT),
    task("verify --delta-from", &[READ, CHANGED, SNAPSHOTS], DECRYPT),
    task("ledger --account", &[SNAPSHOTS], &[]),
    Task {
        name: "drill",
        like: &["resume"],
        needs: &[
            READ,
            SNAPSHOTS,
            VOLUMES,
            INSTANCES,
            MAKE_VOLUMES,
            ATTACH,
            DETACH,
            DELETE_VOLUMES,
            BINNED_VOLUMES,
        ],
        of_keys: ENCRYPT,
    },
    Task {
        name: "drill --delta-from",
        like: &[],
        needs: &[
            READ,
            CHANGED,
            SNAPSHOTS,
            VOLUMES,
            INSTANCES,
            MAKE_VOLUMES,
            ATTACH,
            DETACH,
            DELETE_VOLUMES,
            BINNED_VOLUMES,
        ],
        of_keys: ENCRYPT,
    },
    Task {
        name: "drill --warm",
        like: &[],
        needs: &[
            READ,
            CHANGED,
            SNAPSHOTS,
            VOLUMES,
            INITIALIZATION,
            INSTANCES,
            MAKE_VOLUMES,
            ATTACH,
            DETACH,
            DELETE_VOLUMES,
            BINNED_VOLUMES,
        ],
        of_keys: ENCRYPT,
    },
    Task {
        name: "drill --restored-volume",
        like: &[],
        needs: &[READ, SNAPSHOTS, VOLUMES, INSTANCES, MARK_VOLUMES, ATTACH, DETACH, UNMARK_VOLUMES],
        of_keys: ATTACH_ENCRYPTED,
    },
    task("cleanup", &[VOLUMES, DETACH, DELETE_VOLUMES, UNMARK_VOLUMES], &[]),
    task("warm", &[LIST, CHANGED, SNAPSHOTS, VOLUMES, INITIALIZATION], &[]),
    task("warm --verify", &[READ, CHANGED, SNAPSHOTS, VOLUMES, INITIALIZATION], DECRYPT),
    Task {
        name: "cost",
        like: &["cost archive-advice", "cost compare", "cost reconcile"],
        needs: &[LIST, CHANGED, SNAPSHOTS, VOLUMES, BIN],
        of_keys: &[],
    },
    Task {
        name: "cost --delete",
        like: &["cost --archive", "cost --keep", "cost --max-gap", "cost --save", "cost retention"],
        needs: &[LIST, CHANGED, SNAPSHOTS, VOLUMES, BIN, HOLDS, SHARES],
        of_keys: &[],
    },
    task("cost orphans", &[LIST, CHANGED, SNAPSHOTS, VOLUMES, BIN, HOLDS], &[]),
];

/// Commands that ask AWS for nothing.
pub const LOCAL: &[&str] =
    &["completions", "demo", "evidence", "iam-policy", "man", "serve", "state", "store"];
