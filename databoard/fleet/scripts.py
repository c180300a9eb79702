"""What is run on hosts: shell scripts, in which the variables are set by their callers.

Each begins in <home>, under the lock (lock.GUARD), as root, with `set -eu`.
"""

UPLOAD = """
mkdir -p releases venvs
rm -rf releases/*.partial
if [ -n "$from" ] && [ -d "releases/$from" ]; then
    # hard links: rsync replaces what differs by new files, and never writes into a link
    cp -al "releases/$from" "releases/$id.partial"
    rm -rf "releases/$id.partial/etc" "releases/$id.partial/.venv"
    rm -f "releases/$id.partial/release.json"
fi
"""

REMOVE = """
rm -rf "releases/$id.partial"
[ "$(readlink current || true)" = "releases/$id" ] || rm -rf "releases/$id"
"""

PREPARE = """
release=$home/releases/$id
umask 022
mkdir -p "$release.partial/etc" bin log shared
if [ "$is_root" = 1 ]; then
    install -d -m 755 -o "$worker_user" -g "$worker_user" shared/ramp-kits
    install -d -m 750 -o "$worker_user" -g "$worker_user" shared/ramp-data
    install -d -m 755 -o "$worker_user" -g "$worker_user" shared/environments
    install -d -m 2770 -o "$web_user" -g "$worker_user" shared/submissions
    install -d -m 700 -o "$worker_user" backups shared/backups
    tar -x -p -C "$release.partial/etc"
else
    mkdir -p backups
    for name in ramp-kits ramp-data environments submissions backups; do
        mkdir -p "shared/$name"
    done
    chmod 700 backups shared/backups
    tar -x -p --no-same-owner -C "$release.partial/etc"
fi
mv "$release.partial/etc/release.json" "$release.partial/release.json"
if [ ! -e "venvs/$key/databoard.stamp" ]; then
    rm -rf "venvs/$key"
    python3 -m venv "venvs/$key"
    "venvs/$key/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \\
        --no-index --find-links "wheels/$key" --no-deps --require-hashes \\
        -r "$release.partial/requirements.lock"
    touch "venvs/$key/databoard.stamp"
fi
rm -rf wheels
ln -sfn "../../venvs/$key" "$release.partial/.venv"
cd "$release.partial"
if [ "$is_new" = 1 ]; then
    .venv/bin/python -m compileall -q databoard tasks tasks.py migrations
    # Python ends with 1 and says why when the code does not load
    .venv/bin/python -c 'import databoard.web, databoard.training.worker'
fi
cd "$home"
mv -T "$release.partial" "$release"
"""

BACKUP = """
export DATABOARD_RELEASE
case $("$DATABOARD_RELEASE/etc/inv.sh" db-current --json) in
*'"database": null'*) exit 0 ;; # there is none yet
esac
"$DATABOARD_RELEASE/etc/inv.sh" db-dump "$path"
"""

MIGRATE = """
export DATABOARD_RELEASE
"$DATABOARD_RELEASE/etc/inv.sh" db-upgrade
"""

RESTORE = """
export DATABOARD_RELEASE
[ ! -e "$path" ] || "$DATABOARD_RELEASE/etc/inv.sh" db-restore "$path" --force
"""

STOP_WORKER = """
[ ! -e current/etc/worker.service ] || systemctl stop databoard-worker
[ ! -x bin/services ] || bin/services stop
"""

START_WORKER = """
[ ! -e current/etc/worker.service ] || systemctl start databoard-worker
[ ! -x bin/services ] || bin/services restart
"""

TRY = """
release=$home/releases/$id
script='set -a; . "$1/etc/$2"; cd "$1"; exec .venv/bin/python -m databoard.web'
set -- sh -euc "$script" sh "$release" "$env"
[ -z "$user" ] || set -- setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"
PYTHONPATH=$release DATABOARD_RELEASE=$release "$@"
"""

ACTIVATE = """
PATH=$PATH:/usr/sbin:/sbin
activate() { # RELEASE
    etc=releases/$1/etc changed=
    tab=$(printf '\\t')
    while IFS=$tab read -r name mode destination; do
        cmp -s "$etc/$name" "$destination" && continue
        install -D -m "$mode" "$etc/$name" "$destination.new"
        mv -f "$destination.new" "$destination"
        changed="$changed $name"
    done <"$etc/installed"
    case $changed in *worker.service*)
        systemctl daemon-reload
        systemctl enable --quiet databoard-worker ;;
    esac
    if [ -e "$etc/apache.conf" ]; then
        ln -sfn ../sites-available/databoard.conf /etc/apache2/sites-enabled/databoard.conf
        said=$(apache2ctl configtest 2>&1) || echo "$said"
        case $said in *"Syntax OK"*) ;; *) [ -n "${is_lenient:-}" ] || return 1 ;; esac
    fi
    ln -sfn "releases/$1" current.new
    mv -fT current.new current
}
"""

DEACTIVATE = """
PATH=$PATH:/usr/sbin:/sbin
rm -f current
[ ! -x bin/services ] || bin/services stop
if [ -e /etc/apache2/sites-enabled/databoard.conf ] && [ -n "$(pidof apache2)" ]; then
    rm -f /etc/apache2/sites-enabled/databoard.conf
    apache2ctl graceful
fi
"""

RELOAD = """
PATH=$PATH:/usr/sbin:/sbin
# The processes of mod_wsgi end when they have answered what they have begun, and Apache starts new
# ones at once. A graceful restart of Apache would end them under requests that are on their way.
renew() {
    old=$(pgrep -f '^.wsgi:databoard' || true)
    [ -n "$old" ] || return 0
    kill -USR1 $old 2>/dev/null || true
    for pid in $old; do
        while kill -0 "$pid" 2>/dev/null && grep -q '^.wsgi:databoard' "/proc/$pid/cmdline"; do
            sleep 0.05
        done
    done
}
reload() {
    if [ -x bin/services ]; then
        [ "${is_there:-0}" = 1 ] && bin/services check || bin/services restart
        return
    fi
    if [ -e current/etc/apache.conf ]; then
        if ! pidof apache2 >/dev/null; then
            service apache2 start
        elif cmp -s current/etc/apache.conf run/apache.conf; then
            [ "${is_there:-0}" = 1 ] || renew
        else
            apache2ctl graceful
        fi
        mkdir -p run && cp current/etc/apache.conf run/apache.conf
    fi
    if [ -e current/etc/worker.service ] && [ "$restarts_worker" = 1 ]; then
        systemctl restart databoard-worker
    fi
}
"""

HEALTH = """
[ -e current ] || { echo "Nothing was rolled out to this host yet."; exit 1; }
[ -n "$id" ] || id=$(basename "$(readlink current)")
end=$(($(date +%s) + seconds)) said=
while [ "$is_web" = 1 ]; do
    said=$(curl -sS -m 10 -H "Host: $name" "http://127.0.0.1:$port/healthz" 2>&1) || true
    case $said in *'"database":"up"'*"\\"release\\":\\"$id\\""*) break ;; esac
    if [ "$(date +%s)" -ge "$end" ]; then
        echo "After $seconds s the host does not serve $id. Its answer: $said"
        tail -n 4 /var/log/apache2/error.log log/web.log 2>/dev/null || true
        exit 1
    fi
    sleep 0.1
done
while [ "$is_worker" = 1 ] && ! systemctl is-active --quiet databoard-worker; do
    if [ "$(date +%s)" -ge "$end" ]; then
        echo "After $seconds s the worker does not run."
        tail -n 4 log/worker.log 2>/dev/null || true
        exit 1
    fi
    sleep 0.1
done
"""

PRUNE = """
for folder in releases/*/; do
    name=$(basename "$folder")
    case " $* " in *" $name "*) ;; *) rm -rf "releases/$name" ;; esac
done
used=" $(for link in releases/*/.venv; do basename "$(readlink "$link")"; done | tr '\\n' ' ') "
for folder in venvs/*/; do
    name=$(basename "$folder")
    case $used in *" $name "*) ;; *) rm -rf "venvs/$name" ;; esac
done
"""

RESTART = """
PATH=$PATH:/usr/sbin:/sbin
if [ -x bin/services ]; then bin/services restart; exit; fi
[ ! -e current/etc/apache.conf ] || service apache2 restart
[ ! -e current/etc/worker.service ] || systemctl restart databoard-worker
"""

MAINTENANCE = """
mkdir -p shared
if [ "$is_on" = 1 ]; then touch shared/maintenance; else rm -f shared/maintenance; fi
"""
