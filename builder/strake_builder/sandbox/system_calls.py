"""Which system calls a step may make: those of an ordinary container, as in containerd's default filter.

In a pod with a user namespace of its own, and outside pods, nothing else filters the calls of a step. The set
is containerd's (`contrib/seccomp`) for a container with the capabilities of `spec.CAPABILITIES`: without
keyrings, mounts, namespaces, modules, clocks and performance counters. Source of the form: OCI runtime-spec
1.1, config-linux.md, "Seccomp".

A call that is not listed ends with ENOSYS, as one of a newer kernel: C libraries use an older call then, and
give up on EPERM. Newer ones than the machine's libseccomp knows by name are among these, clone3 as in
containerd. What a container is known not to make is refused with EPERM. Rules of one call never overlap: what
libseccomp makes of overlaps depends on their order. Which sockets open is left to `socket_filter`.
"""

from __future__ import annotations

import errno
import platform
from typing import Any, Final

_ALLOWED: Final = """
    _llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod
    chown chown32 chroot clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
    clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range
    creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
    epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2
    fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32
    fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
    fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64
    futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents
    getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer
    getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid
    getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32
    getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel
    io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get
    ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
    lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr
    lsm_get_self_attr lsm_list_modules lsm_set_self_attr lstat lstat64 madvise map_shadow_stack
    membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap
    mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
    mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall
    munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal
    pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2
    prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace
    pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg
    recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2
    restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
    rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
    sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send
    sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid
    setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority
    setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid
    setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack
    signalfd signalfd4 sigprocmask sigreturn socket socketcall socketpair splice
    stat stat64 statfs statfs64 statmount
    statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create
    timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill
    truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat
    utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
""".split()  # noqa: SIM905 - 366 lines of names would hide the rest

_REFUSED: Final = """
    _sysctl acct add_key afs_syscall bdflush bpf break clock_settime clock_settime64 create_module
    delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick ftime get_kernel_syms
    get_mempolicy getpmsg gtty idle init_module io_uring_enter io_uring_register io_uring_setup ioperm
    iopl kcmp kexec_file_load kexec_load keyctl lock lookup_dcookie mbind migrate_pages mount
    mount_setattr move_mount move_pages mpx nfsservctl nice oldfstat oldlstat oldolduname oldstat
    olduname open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise prof
    profil putpmsg query_module quotactl quotactl_fd readdir reboot request_key security
    set_mempolicy set_mempolicy_home_node setdomainname sethostname setns settimeofday sgetmask
    sigaction signal sigpending sigsuspend ssetmask stime stty swapoff swapon sysfs syslog
    tuxcall ulimit umount umount2 unshare uselib userfaultfd ustat vhangup vm86 vm86old vserver
""".split()  # noqa: SIM905 - 100 lines of names would hide the rest
_ARCHITECTURES: Final = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
    "riscv64": ("SCMP_ARCH_RISCV64",),
    "s390x": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
    "ppc64le": ("SCMP_ARCH_PPC64LE",),
}
_OWN: Final = {
    "x86_64": ("arch_prctl", "modify_ldt"),
    "aarch64": (
        "arm_fadvise64_64",
        "arm_sync_file_range",
        "sync_file_range2",
        "breakpoint",
        "cacheflush",
        "set_tls",
    ),
    "riscv64": ("riscv_flush_icache", "riscv_hwprobe"),
    "s390x": ("s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"),
    "ppc64le": ("sync_file_range2", "swapcontext"),
}
_PERSONALITIES: Final = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, 32 bits, the version of Linux 2.6, both, and the question which it is."""
_PERSONALITY_QUESTION: Final = 1 << 28
"""A bit that no personality uses, and the question has."""
_NEW_NAMESPACES: Final = (1 << 17, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30)
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""


def seccomp(machine: str | None = None) -> dict[str, Any] | None:
    """Return the filter of a step, as `linux.seccomp` of an OCI runtime spec.

    Args:
        machine: the processor, as uname says; None for this one's.

    Returns:
        None for a processor whose calls are not known here.
    """
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        return None
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.ENOSYS,
        "architectures": list(_ARCHITECTURES[machine]),
        "syscalls": [
            _allow([*_ALLOWED, *_OWN[machine]]),
            _refuse(_REFUSED),
            *_personality(),
            *_clone(1 if machine == "s390x" else 0),
        ],
    }


def _personality() -> list[dict[str, Any]]:
    allowed = [_allow(["personality"], _equal(0, value)) for value in _PERSONALITIES]
    others = [
        bit for bit in (1 << n for n in range(32)) if bit not in {*_PERSONALITIES, _PERSONALITY_QUESTION}
    ]
    return allowed + [
        _refuse(["personality"], _masked(0, bit | _PERSONALITY_QUESTION, bit)) for bit in others
    ]


def _clone(flags: int) -> list[dict[str, Any]]:
    return [
        _allow(["clone"], _masked(flags, sum(_NEW_NAMESPACES), 0)),
        *(_refuse(["clone"], _masked(flags, flag, flag)) for flag in _NEW_NAMESPACES),
    ]


def _allow(names: list[str], *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ALLOW", **({"args": list(conditions)} if conditions else {})}


def _refuse(names: list[str], *conditions: dict[str, Any]) -> dict[str, Any]:
    return {**_allow(names, *conditions), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM}


def _equal(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": int(value), "op": "SCMP_CMP_EQ"}


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": int(mask), "valueTwo": int(value), "op": "SCMP_CMP_MASKED_EQ"}
