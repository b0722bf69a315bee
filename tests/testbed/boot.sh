#!/bin/bash
# boot.sh FOLDER NAME: the first process of a host of the test bed, in its own pid, mount, net, uts and ipc namespaces.
# Makes the host's root (an overlay over this machine's), its /dev and /run, then starts its daemons and waits for the
# owner to go. FOLDER: upper/ work/ root/ docker/ hold the disk, etc/ and bin/ are laid over /etc and /usr/local/sbin.
set -eu
folder=$1 name=$2
read -r outer _ </proc/self/stat # the pid as the machine sees it: /proc is still the machine's
root=$folder/root
hostname "$name"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
mkdir -p "$root/var/lib/docker" "$root/.old" "$root/etc/docker"
if [ -f "$folder/disk.img" ]; then
    mount -o loop "$folder/disk.img" "$root/var/lib/docker"
else
    mount --bind "$folder/docker" "$root/var/lib/docker" # overlay2 cannot stand on an overlay
fi
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
# A /dev of its own: whatever is done to it in the host, the machine's stays as it is.
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mkdir "$root"/dev/{pts,shm,net,mqueue}
for device in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "fuse 10 229" "kmsg 1 11" "net/tun 10 200"; do
    read -r path major minor <<<"$device"
    mknod -m 666 "$root/dev/$path" c "$major" "$minor"
done
if [ -f "$folder/nodes" ]; then # of GPUs that are not there: render nodes are the group render's, as udev makes them
    mkdir "$root/dev/dri"
    while read -r path major minor; do
        mknod -m 660 "$root/dev/$path" c "$major" "$minor"
        chgrp 993 "$root/dev/$path"
    done <"$folder/nodes"
fi
mount -t devpts -o newinstance,ptmxmode=666,gid=5,mode=620 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${number%:*}" "$root/dev/${number#*:}"; done
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir "$root/run/sshd"
mkdir -p "$root/opt/newer"
[ ! -d "$folder/newer" ] || mount --rbind "$folder/newer" "$root/opt/newer"
cp -rT "$folder/etc" "$root/etc"
cp -rT "$folder/bin" "$root/usr/local/sbin"
[ ! -d "$folder/lib" ] || cp -rT "$folder/lib" "$root/usr/local/lib"
cd "$root"
pivot_root . .old
umount -l /.old
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
echo "$outer"
read -r _ # the owner has joined the network
bed-sshd &
bed-dockerd &
trap 'exit 0' TERM
while read -r _; do :; done # until the owner is gone; bash reaps the orphans meanwhile
