#!/bin/bash
# install_system.sh SET…: makes sure the Debian packages of these sets (scripts/debian-packages.txt) are installed.
#
# Nothing missing: says nothing and changes nothing. Otherwise it installs them as root, or through sudo where sudo is
# allowed; where it may not, it prints exactly what it would install and stops with exit status 1.
#   --list     print the names of the sets' packages and stop
#   --missing  print the names that are not installed and stop
set -euo pipefail

packages_file=$(dirname "$0")/debian-packages.txt
mode=install
sets=()
for argument in "$@"; do
  case $argument in
    --list | --missing) mode=${argument#--} ;;
    -*) echo "install_system.sh: unknown option $argument" >&2; exit 2 ;;
    *) sets+=("$argument") ;;
  esac
done
[ ${#sets[@]} -gt 0 ] || { echo "usage: install_system.sh [--list|--missing] SET…" >&2; exit 2; }

# Names of the packages whose SETS column holds one of the wanted sets; a set nobody lists is a typing mistake.
packages_of() {
  awk -v wanted="$*" '
    BEGIN { n = split(wanted, w, " ") }
    !/^[[:space:]]*(#|$)/ {
      m = split($2, s, ",")
      for (i = 1; i <= n; i++) for (j = 1; j <= m; j++) if (s[j] == w[i]) { known[w[i]] = 1; if (!printed[$1]++) print $1 }
    }
    END { for (i = 1; i <= n; i++) if (!(w[i] in known)) { print "install_system.sh: no set named " w[i] > "/dev/stderr"; exit 2 } }
  ' "$packages_file"
}

packages=$(packages_of "${sets[@]}")
if [ "$mode" = list ]; then
  echo "$packages"
  exit 0
fi

if ! command -v dpkg-query >/dev/null; then
  [ "$mode" = missing ] && { echo "$packages"; exit 0; }
  printf 'This is not a Debian system. Install what these Debian packages hold, then run with SYSTEM=skip:\n' >&2
  printf '  %s\n' $packages >&2
  exit 1
fi

missing=()
for name in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$name")
done
if [ "$mode" = missing ]; then
  [ ${#missing[@]} -eq 0 ] || printf '%s\n' "${missing[@]}"
  exit 0
fi
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  # Without a terminal sudo must not ask for a password: it would wait for ever.
  if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=(sudo)
  else
    printf 'These Debian packages are missing, and this user may not install them:\n' >&2
    printf '  %s\n' "${missing[@]}" >&2
    printf 'Ask an administrator to run:\n  apt-get install --no-install-recommends %s\n' "${missing[*]}" >&2
    exit 1
  fi
fi

echo "Installing Debian packages: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0)
"${apt[@]}" -qq update
"${apt[@]}" install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
