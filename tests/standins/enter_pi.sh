#!/bin/bash
# Enter an arm64 root as a Raspberry Pi: private user and mount namespace, private binfmt_misc, chroot.
# Nothing is registered on the host, and no root is needed; the kernel must be 6.7 or newer.
# PI_ROOT: the arm64 root. PI_QEMU: a static qemu-aarch64, 8.2 or newer. PI_CPU: cortex-a53, -a72 or -a76.
# PI_BITS: 64, or 32 for an armhf root and qemu-arm.
# PI_STATE: folder of this Pi with home/ (what it stores), sys/ (its /sys) and own/ (its programs and /proc files).
set -eu
export PI_COMMAND="${SSH_ORIGINAL_COMMAND:-${1:-}}"
exec unshare --user --map-root-user --mount --propagation private /bin/bash --norc -euc '
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
magic="\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
if [ "$PI_BITS" = 32 ]; then
  magic="\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00"
fi
# F: the kernel keeps QEMU open, so it need not lie in the root. P: argv[0] is kept.
printf "%s" ":qemu-aarch64:M::$magic:$mask:$PI_QEMU:PF" > /proc/sys/fs/binfmt_misc/register
mount --rbind /proc "$PI_ROOT/proc"
mount --rbind /dev "$PI_ROOT/dev"
mount --rbind "$PI_STATE/home" "$PI_ROOT/home/pi"
mount --rbind "$PI_STATE/sys" "$PI_ROOT/sys"
mount --rbind "$PI_STATE/own" "$PI_ROOT/own"
mount -t tmpfs tmpfs "$PI_ROOT/tmp"
cd "$PI_ROOT"
exec env -i HOME=/home/pi USER=pi LOGNAME=pi SHELL=/bin/sh LANG=C.UTF-8 PATH=/own/bin:/usr/local/bin:/usr/bin:/bin \
  QEMU_CPU="$PI_CPU" QEMU_LD_PREFIX=/own/prefix /usr/sbin/chroot . /bin/sh -c "cd; ${PI_COMMAND:-exec /bin/sh -l}"'
