#include <whence/runtime/uring_unavailable.hpp>

#include <sys/resource.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace whence::inline v0 {

namespace {

/// Reads the first word of a file of /proc; empty when it is not there.
std::string read_word(const char* path)
{
    std::ifstream file(path);
    std::string word;
    file >> word;
    return word;
}

bool seccomp_filters()
{
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("Seccomp:"))
            return line.ends_with('2');
    }
    return false;
}

std::string kernel_release()
{
    utsname name{};
    return uname(&name) == 0 ? name.release : "unknown";
}

std::string cause_of(int error)
{
    switch (error) {
    case EPERM:
    case EACCES: {
        const std::string sysctl = read_word("/proc/sys/kernel/io_uring_disabled");
        const bool by_filter = seccomp_filters();
        // With 1 some may: a filter is the likelier cause then.
        if (sysctl == "2" || (sysctl == "1" && !by_filter))
            return "the sysctl kernel.io_uring_disabled=" + sysctl + " forbids it";
        if (by_filter)
            return "a seccomp filter forbids it (the default profile of container runtimes does; "
                   "allow io_uring_setup, io_uring_enter and io_uring_register)";
        return "a security policy forbids it";
    }
    case ENOSYS:
        if (seccomp_filters())
            return "a seccomp filter hides it, or the kernel " + kernel_release() +
                   " was built without it";
        return "the kernel " + kernel_release() + " was built without it";
    case EINVAL:
        return "the kernel " + kernel_release() + " is too old: Linux 6.1 or newer is needed";
    case ENOMEM: {
        rlimit locked{};
        getrlimit(RLIMIT_MEMLOCK, &locked);
        return "no memory for it (RLIMIT_MEMLOCK is " + std::to_string(locked.rlim_cur) +
               " bytes; a cgroup limit counts too)";
    }
    case EMFILE:
        return "the process has reached its limit of open files (RLIMIT_NOFILE)";
    case ENFILE:
        return "the system has reached its limit of open files (fs.file-max)";
    default:
        return std::strerror(error);
    }
}

}  // namespace

std::string explain_uring_error(int error, const std::string& step)
{
    return "cannot " + step + ": " + cause_of(error) + " (errno " + std::to_string(error) + ")";
}

driver_unavailable uring_unavailable(int error, const std::string& step)
{
    return driver_unavailable{explain_uring_error(error, step), error};
}

}  // namespace whence::inline v0
