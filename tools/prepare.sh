# Prepares a machine for `./dev`, which sources this file. Two steps, both silent and fast when there is
# nothing to do:
#   1. distribution packages that are missing are listed, confirmed once and installed;
#   2. on Debian 12, what it has only in older versions is fetched with a private apt configuration and
#      unpacked into .deps/. The system's sources, pins and packages stay as they are.
# Needs from ./dev: $root, $assume_yes, say, die.

common_packages=(binutils ca-certificates ccache cmake curl doxygen git haproxy hitch libcli11-dev
    libnginx-mod-stream make ninja-build openssl pkgconf prometheus python3 stunnel4 swaks valgrind varnish)
newer_packages=(catch2 libasio-dev liburing-dev nlohmann-json3-dev)

# Debian 12 only: package/suite, the oldest version that serves, and a file that must be there afterwards.
# linux-libc-dev is in the list because liburing 2.9 includes <linux/blkdev.h>.
deps_wanted='liburing-dev/trixie 2.9 include/liburing.h
libasio-dev/trixie 1.30 include/asio.hpp
nlohmann-json3-dev/trixie 3.11.3 include/nlohmann/json.hpp
libllhttp-dev/trixie 9.2 include/llhttp.h
libcatch2-dev/CODENAME-backports 3.7 lib/libCatch2.a
linux-libc-dev/CODENAME-backports 6.12 include/linux/blkdev.h'

prepare()
{
    local ID='' VERSION_ID='' VERSION_CODENAME='' PRETTY_NAME=''
    [[ -r /etc/os-release ]] && . /etc/os-release
    case "$ID-$VERSION_ID" in
    debian-12)
        install_missing "${common_packages[@]}" nginx-core g++-12 clang-19 clang-format-19 \
            clang-tidy-19 libclang-rt-19-dev llvm-19
        unpack_deps "$VERSION_CODENAME"
        ;;
    debian-1[3-9]* | debian-)
        install_missing "${common_packages[@]}" "${newer_packages[@]}" nginx g++ libllhttp-dev \
            clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev llvm-19
        ;;
    ubuntu-2[4-9].* | ubuntu-[3-9]?.*)
        install_missing "${common_packages[@]}" "${newer_packages[@]}" nginx-core g++ \
            clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev llvm-19
        ;;
    *)
        say "This is ${PRETTY_NAME:-an unknown system}; packages are installed on Debian 12 and 13 and
Ubuntu 24.04 and newer. Here ./dev uses what it finds (--no-prepare leaves this note out):
  cmake 3.25, ninja, python3, git; clang 16 (19 recommended) or g++ 13;
  liburing 2.5, Asio 1.28, Catch2 3.4, nlohmann/json 3.11, CLI11 2.1;
  for tests, demo and checks: haproxy, nginx with its stream module, curl, openssl, valgrind,
  hitch, stunnel, swaks, varnish, promtool (prometheus); clang-format 19, clang-tidy 19, pkg-config,
  make, doxygen; ccache when present."
        ;;
    esac
}

# ---- distribution packages ----------------------------------------------------------------------------

install_missing()
{
    local installed missing=() package
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
    for package in "$@"; do
        [[ $'\n'$installed$'\n' == *$'\n'"installed $package"$'\n'* ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    say "These packages of the distribution are missing: ${missing[*]}"
    if [[ $assume_yes == no && -t 0 && -t 1 ]]; then
        local answer
        read -r -p 'Install them now? [Y/n] ' answer
        [[ $answer =~ ^([yY].*)?$ ]] || die "nothing installed; --no-prepare goes on without them"
    fi
    as_root true || die "needs root or sudo; run: apt-get install ${missing[*]}"

    local log=$root/.cache/prepare.log
    mkdir -p "$root/.cache"
    say "Installing ${#missing[@]} packages (details: .cache/prepare.log) ..."
    # A source that does not answer is not fatal: the packages may all come from the others.
    as_root apt-get update -q >"$log" 2>&1 || say "apt-get update reported errors; going on."
    forbid_service_starts
    local status=0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        "${missing[@]}" >>"$log" 2>&1 </dev/null || status=$?
    allow_service_starts
    if ((status)); then
        tail -n 25 "$log" >&2
        die "apt-get install failed"
    fi
    keep_services_off "${missing[@]}"
}

as_root()
{
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

# haproxy, nginx and others start a daemon when they are installed. While we install, policy-rc.d says no; a
# policy that somebody else put there stays. One that we left behind (kill -9) is recognised by its text.
policy_file=/usr/sbin/policy-rc.d
policy_text='# written by whence/dev for the time of one installation'

forbid_service_starts()
{
    if [[ -e $policy_file ]] && ! grep -qF "$policy_text" "$policy_file"; then
        return 0
    fi
    say "Services are kept from starting meanwhile ($policy_file, removed afterwards)."
    trap allow_service_starts EXIT
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_text" | as_root tee "$policy_file" >/dev/null
    as_root chmod 755 "$policy_file"
}

allow_service_starts()
{
    if [[ -e $policy_file ]] && grep -qF "$policy_text" "$policy_file"; then
        as_root rm -f "$policy_file"
    fi
    trap - EXIT
}

# Installed for tests only, so they shall not start with the machine either.
keep_services_off()
{
    local pair package unit
    command -v systemctl >/dev/null || return 0
    for pair in haproxy/haproxy.service nginx/nginx.service hitch/hitch.service \
        stunnel4/stunnel.target varnish/varnish.service varnish/varnishncsa.service prometheus/prometheus.service; do
        package=${pair%/*} unit=${pair#*/}
        if [[ " $* " == *" $package "* || " $* " == *" $package-core "* ]]; then
            as_root systemctl disable "$unit" >/dev/null 2>&1 &&
                say "The service ${unit%.*} is installed, but neither started nor enabled."
        fi
    done
    return 0
}

# ---- .deps --------------------------------------------------------------------------------------------

# The stamp's first lines are the wishes themselves: when they change, .deps is made anew.
unpack_deps()
{
    local codename=$1 wanted=${deps_wanted//CODENAME/$1} stamp=$root/.deps/packages
    if [[ -r $stamp && $(<"$stamp") == "$wanted"$'\n'--* ]]; then
        return 0
    fi
    mkdir -p "$root/.cache"
    exec 8>"$root/.cache/prepare.lock"
    flock 8
    if ! [[ -r $stamp && $(<"$stamp") == "$wanted"$'\n'--* ]]; then
        rm -rf "$root"/.cache/deps.*   # what an interrupted run left
        local work=$root/.cache/deps.new
        mkdir -p "$work"/{state/lists/partial,cache/archives/partial,debs,tree}
        say "Fetching newer libraries into .deps (about 5 MB and a package list of 10 MB) ..."
        download_deps "$work" "$codename" "$wanted"
        verify_and_unpack "$work" "$wanted"
        if [[ -e $root/.deps ]]; then
            mv "$root/.deps" "$root/.cache/deps.old"
        fi
        mv "$work/tree" "$root/.deps"
        rm -rf "$root"/.cache/deps.*
    fi
    exec 8>&-
}

download_deps()
{
    local work=$1 codename=$2 wanted=$3 mirror key='' packages
    local debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg log=$root/.cache/prepare.log
    [[ -r $debian_keys ]] && key="[signed-by=$debian_keys] "
    packages=$(awk '{ print $1 }' <<<"$wanted")

    # Read after the system's own apt.conf.d, whose proxies and credentials stay in force.
    cat >"$work/apt.conf" <<CONF
Dir::State "$work/state";
Dir::Cache "$work/cache";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
    for mirror in $(mirrors "$codename"); do
        printf 'deb %s%s %s main\n' "$key" "$mirror" trixie "$key" "$mirror" "$codename-backports" \
            >"$work/sources.list"
        if apt-get -c "$work/apt.conf" -q update >"$log" 2>&1 &&
            (cd "$work/debs" && apt-get -c "$work/apt.conf" -q download $packages >>"$log" 2>&1); then
            return 0
        fi
        say "The mirror $mirror does not serve; details: .cache/prepare.log"
    done
    tail -n 15 "$log" >&2
    die "no mirror delivered: $(echo $packages)"
}

# The system's own mirrors for this release, those that look like Debian's archive first. apt itself reads
# its sources, in either format; that works also before the first `apt-get update`.
mirrors()
{
    local found
    found=$(apt-get --print-uris -q update 2>/dev/null |
        sed -n "s#^'\(.*/\)dists/$1/InRelease'.*#\1#p" | grep -v '^cdrom:' || true)
    {
        grep '/debian/*$' <<<"$found" || true
        grep -v '/debian/*$' <<<"$found" || true
        echo http://deb.debian.org/debian/
    } | awk 'NF && !seen[$0]++'
}

verify_and_unpack()
{
    local work=$1 wanted=$2 package least file deb version
    while read -r package least file; do
        deb=$(echo "$work/debs/${package%/*}"_*.deb)
        version=$(dpkg-deb -f "$deb" Version) || die "${package%/*}: not delivered"
        dpkg --compare-versions "${version#*:}" ge "$least" ||
            die "${package%/*}: $least is needed, ${package#*/} of the mirror has $version"
        dpkg-deb -x "$deb" "$work/tree"
        [[ -e $work/tree/usr/$file ]] || die "${package%/*} $version holds no usr/$file"
    done <<<"$wanted"
    { echo "$wanted"; echo --; (cd "$work/debs" && ls); } >"$work/tree/packages"
}
