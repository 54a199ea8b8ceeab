#!/bin/bash
# Enter an arm64 root without glibc as an Android phone: private namespaces, private binfmt_misc, chroot.
# PHONE_ROOT: the root. PHONE_QEMU: a static qemu-aarch64. PHONE_STATE: folder with data/ (what it stores).
set -eu
export PHONE_COMMAND="$1"
exec unshare --user --map-root-user --mount --propagation private /bin/bash --norc -euc '
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
magic="\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
printf "%s" ":qemu-aarch64:M::$magic:$mask:$PHONE_QEMU:PF" > /proc/sys/fs/binfmt_misc/register
mount --rbind /proc "$PHONE_ROOT/proc"
mount --rbind /dev "$PHONE_ROOT/dev"
mount --rbind "$PHONE_STATE/data" "$PHONE_ROOT/data"
cd "$PHONE_ROOT"
exec env -i HOME=/ TMPDIR=/data/local/tmp PATH=/system/bin QEMU_CPU=cortex-a76 \
  /usr/sbin/chroot . /system/bin/sh -c "cd /; $PHONE_COMMAND"'
