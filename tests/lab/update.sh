# Lets apt read the archive.
set -e
apt-get update --quiet --quiet
