"""The runbook that makes a bare Debian 12 host ready for rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from databoard.errors import DataboardError
from databoard.fleet import shell
from databoard.fleet.connect import Unreachable, opened
from databoard.fleet.inventory import Database, Host, Target
from databoard.fleet.render import WEB_USER, WORKER_USER
from databoard.fleet.runbook import Action, Run, Step

# Debian's packages, each with a file that is there when it is, or when another version is.
PACKAGES = {
    "cron": "/usr/sbin/cron",
    "curl": "/usr/bin/curl",
    "logrotate": "/usr/sbin/logrotate",
    "postgresql-client": "/usr/lib/postgresql/*/bin/pg_dump",
    "python3-venv": "/usr/lib/python3*/ensurepip/__init__.py",
    "rsync": "/usr/bin/rsync",
    "sudo": "/usr/bin/sudo",
}
PACKAGES_OF = {
    "web": {
        "apache2": "/usr/sbin/apache2ctl",
        "libapache2-mod-wsgi-py3": "/usr/lib/apache2/modules/mod_wsgi.so",
    },
    "database": {"postgresql": "/usr/lib/postgresql/*/bin/postgres"},
    "worker": {"bubblewrap": "/usr/bin/bwrap"},
}


@dataclass(frozen=True)
class User:
    """Who will work on a host."""

    name: str
    key: str  # the public one that lets them in; empty: those that root has


@dataclass(frozen=True)
class SetUp:
    """Everything that the steps are made from. They may be repeated at will."""

    target: Target
    users_of: Mapping[str, User]  # by the host's name

    def steps(self) -> list[Step]:
        return [
            Step("packages", "Install Debian packages", self.packages),
            Step("users", "Make the users", self.users),
            Step("database", "Make the database", self.database),
            Step("apache", "Prepare Apache", self.apache),
        ]

    def packages(self, host: Host) -> Action:
        wanted = dict(PACKAGES)
        for role in host.roles:
            wanted |= PACKAGES_OF.get(role, {})
        pairs = (f"{package}:{file}" for package, file in wanted.items())
        return Run(f"set -- {shell.words(*pairs)}\n{INSTALL}")

    def users(self, host: Host) -> Action:
        values = {
            "user": self.users_of[host.name].name,
            "web_user": WEB_USER,
            "worker_user": WORKER_USER,
        }
        return Run(shell.assign(values) + USERS, self.users_of[host.name].key.encode())

    def database(self, host: Host) -> Action | None:
        database = self.target.database
        if "database" not in host.roles or database is None:
            return None
        rules = access_rules(database, self.target.hosts)
        script = shell.assign({"rules": rules, "port": database.port}) + DATABASE
        return Run(script, role_and_database(database).encode())

    def apache(self, host: Host) -> Action | None:
        return Run(APACHE) if "web" in host.roles else None


def set_up(target: Target, login: str) -> tuple[Target, SetUp]:
    """The target as it is logged in to first, and the runbook.

    Raises DataboardError for a local target.
    """
    if target.connection == "local":
        raise DataboardError(
            "This machine needs no set-up.", "inv publish-software --target=local works at once."
        )
    users = {host.name: User(host.user, public_key(host)) for host in target.hosts}
    hosts = tuple(replace(host, user=login or host.user) for host in target.hosts)
    return replace(target, hosts=hosts), SetUp(target, users)


def public_key(host: Host) -> str:
    """The public half of the host's key, if it lies beside it."""
    path = host.key.with_name(f"{host.key.name}.pub") if host.key else None
    return path.read_text() if path and path.exists() else ""


def check_login(target: Target) -> dict[Host, str]:
    """Why each host cannot be used as its inventory says; empty when all can."""
    failures = {}
    with opened(target) as machines:
        for host, machine in machines.items():
            if isinstance(machine, Unreachable):
                failures[host] = str(machine)
            elif (output := machine.run("true")).code:
                failures[host] = f"{host.user} may not become root there: {output.last}"
    return failures


def role_and_database(database: Database) -> str:
    """SQL for psql: makes what is missing, and sets the password.

    The role may make databases: a snapshot is restored beside the one that serves.
    """
    role, name = identifier(database.user), identifier(database.name)
    is_role = f"SELECT FROM pg_roles WHERE rolname = {literal(database.user)}"
    is_there = f"SELECT FROM pg_database WHERE datname = {literal(database.name)}"
    return "\n".join(
        [
            "SET log_min_error_statement = panic;",  # the log shall not quote the password
            f"SELECT {literal(f'CREATE ROLE {role} LOGIN')} WHERE NOT EXISTS ({is_role}) \\gexec",
            f"ALTER ROLE {role} LOGIN CREATEDB PASSWORD {literal(database.password.read())};",
            f"SELECT {literal(f'CREATE DATABASE {name} OWNER {role}')} "
            f"WHERE NOT EXISTS ({is_there}) \\gexec",
            "",
        ]
    )


def access_rules(database: Database, hosts: Sequence[Host]) -> str:
    """Lines of pg_hba.conf that let the target's hosts in, and no others."""
    addresses = ["127.0.0.1/32"]
    for host in hosts:
        try:
            address = ip_address(host.address)
        except ValueError:
            addresses.append(host.address)  # a name, which PostgreSQL looks up
        else:
            addresses.append(f"{address}/{address.max_prefixlen}")
    user, name = f'"{database.user}"', f'"{database.name}"'
    return "".join(f"host {name} {user} {address} scram-sha-256\n" for address in addresses)


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    quoted = "'" + text.replace("'", "''") + "'"
    return f" E{quoted.replace(chr(92), chr(92) * 2)}" if "\\" in text else quoted


INSTALL = """
missing=
for pair; do
    ls ${pair#*:} >/dev/null 2>&1 || missing="$missing ${pair%%:*}"
done
[ -n "$missing" ] || exit 0
export DEBIAN_FRONTEND=noninteractive
# a list that is too old to fetch from is renewed; one that cannot be renewed may do
apt-get -qq -o DPkg::Lock::Timeout=120 update || true
apt-get -qq -y -o DPkg::Lock::Timeout=120 install --no-install-recommends $missing >/dev/null
"""

USERS = """
for name in "$web_user" "$worker_user"; do
    id -u "$name" >/dev/null 2>&1 ||
        useradd --system --user-group --create-home --home-dir "/var/lib/$name" "$name"
done
mkdir -p releases venvs backups log bin shared
if [ "$user" != root ]; then
    id -u "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
    ssh=$(getent passwd "$user" | cut -d: -f6)/.ssh
    keys=$(cat)
    [ -n "$keys" ] || keys=$(cat /root/.ssh/authorized_keys 2>/dev/null || true)
    install -d -m 700 -o "$user" -g "$(id -gn "$user")" "$ssh"
    touch "$ssh/authorized_keys"
    printf '%s\\n' "$keys" | while IFS= read -r key; do
        [ -z "$key" ] || grep -qxF "$key" "$ssh/authorized_keys" ||
            printf '%s\\n' "$key" >>"$ssh/authorized_keys"
    done
    chown "$user:" "$ssh/authorized_keys"; chmod 600 "$ssh/authorized_keys"
    printf '%s ALL=(ALL) NOPASSWD: ALL\\n' "$user" >"/etc/sudoers.d/.databoard"
    chmod 440 /etc/sudoers.d/.databoard
    visudo -cqf /etc/sudoers.d/.databoard
    mv /etc/sudoers.d/.databoard /etc/sudoers.d/databoard
fi
"""

DATABASE = """
sql=$(cat)
folder=$(ls -d /etc/postgresql/*/main | sort -V | tail -n 1)
hba=$folder/pg_hba.conf
sed '/^# begin databoard$/,/^# end databoard$/d' "$hba" >"$hba.new"
{ echo '# begin databoard'; printf '%s' "$rules"; echo '# end databoard'; } >>"$hba.new"
chown --reference="$hba" "$hba.new"; chmod --reference="$hba" "$hba.new"
mkdir -p "$folder/conf.d"
printf "listen_addresses = '*'\\nport = %s\\n" "$port" >"$folder/conf.d/databoard.conf.new"
if cmp -s "$hba.new" "$hba" && cmp -s "$folder/conf.d/databoard.conf.new" \\
    "$folder/conf.d/databoard.conf"; then
    rm -f "$hba.new" "$folder/conf.d/databoard.conf.new"
    service postgresql start
else
    mv "$hba.new" "$hba"
    mv "$folder/conf.d/databoard.conf.new" "$folder/conf.d/databoard.conf"
    service postgresql restart
fi
cd /
printf '%s\\n' "$sql" | setpriv --reuid=postgres --regid=postgres --init-groups -- \\
    psql -qX -v ON_ERROR_STOP=1 -p "$port" -d postgres
"""

APACHE = """
PATH=$PATH:/usr/sbin:/sbin
a2enmod -q wsgi rewrite
[ ! -e /etc/apache2/sites-enabled/000-default.conf ] || a2dissite -q 000-default
if pidof apache2 >/dev/null; then apache2ctl graceful; else service apache2 start; fi
"""
