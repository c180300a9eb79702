# What a ready host has over a bare one: ready.sh PUBLIC_KEY NETWORK
set -e
id deploy >/dev/null 2>&1 || useradd --create-home --shell /bin/bash deploy
install -d -o deploy -g deploy -m 700 /home/deploy /home/deploy/.ssh
echo "$1" >/home/deploy/.ssh/authorized_keys
chown deploy: /home/deploy/.ssh/authorized_keys
install -m 440 /dev/null /etc/sudoers.d/deploy
echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy

echo ServerName localhost >/etc/apache2/conf-enabled/lab.conf
a2enmod --quiet wsgi
install -d -m 1730 -g crontab /var/spool/cron/crontabs

install -d -m 1775 -g postgres /var/log/postgresql
version=$(ls /usr/lib/postgresql | sort -n | tail -1)
rm -f /etc/postgresql-common/createcluster.conf
pg_createcluster "$version" main -- --auth-local=peer --auth-host=scram-sha-256 --no-sync >/dev/null
cat >>"/etc/postgresql/$version/main/postgresql.conf" <<END
listen_addresses = '*'
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 16MB
max_connections = 50
END
echo "host all all $2 scram-sha-256" >>"/etc/postgresql/$version/main/pg_hba.conf"
systemctl --quiet enable apache2 cron
