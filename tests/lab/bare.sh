# Takes away what a new Debian does not have: bare.sh PACKAGE...
set -e
export DEBIAN_FRONTEND=noninteractive SUDO_FORCE_REMOVE=yes
# The archive of the lab is all there is to install from.
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d/*proxy* /var/lib/apt/lists
install -d /etc/apt/sources.list.d /var/lib/apt/lists/partial
apt-get purge --quiet --quiet --yes -o DPkg::Options::=--force-unsafe-io "$@"
