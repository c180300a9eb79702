# What every host of a lab has, in the layer that all share: base.sh PUBLIC_KEY
set -e
: >/etc/fstab
: >/etc/environment
echo '# no names but those in /etc/hosts' >/etc/resolv.conf
rm -f /etc/pip.conf /etc/gitconfig /usr/sbin/policy-rc.d
install -d -m 750 -g adm /var/log/apache2
install -d /var/log/apt /usr/local/bin /usr/local/sbin /usr/local/lib /usr/local/share
install -d -m 700 /root/.ssh
echo "$1" >/root/.ssh/authorized_keys

rm -f /etc/ssh/ssh_host_*
cat >/etc/ssh/sshd_config <<END
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM yes
UseDNS no
PrintMotd no
MaxStartups 100
MaxSessions 100
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
END

# A killed sshd stays dead until someone starts it.
install -d /etc/systemd/system/ssh.service.d /etc/systemd/system-generators
printf '[Service]\nRestart=no\n' >/etc/systemd/system/ssh.service.d/lab.conf
ln -s /dev/null /etc/systemd/system-generators/systemd-sysv-generator
# What a host in namespaces has no use for, or must not touch because it is the machine's.
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-logind.service \
    systemd-remount-fs.service systemd-sysctl.service systemd-modules-load.service \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-timesyncd.service \
    systemd-sysusers.service systemd-firstboot.service systemd-journald-audit.socket \
    systemd-journal-flush.service systemd-update-utmp.service systemd-pstore.service \
    systemd-update-utmp-runlevel.service systemd-hwdb-update.service systemd-random-seed.service \
    systemd-ask-password-wall.path systemd-ask-password-console.path systemd-initctl.socket \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount modprobe@.service getty.target \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service man-db.timer fstrim.timer; do
    ln -s /dev/null "/etc/systemd/system/$unit"
done
systemctl --quiet enable ssh
systemctl --quiet set-default multi-user.target
