# Moves this stage's own file system under a directory, so that its programs run from there.
#
#     relocate.sh /strake/root
#
# A program names its loader by an absolute path, and the loader its libraries; scripts name their interpreter.
# All of them are made to name the new directory. What a running builder does not need is left out.
set -eu
target=$1
home=${target%/*}

mkdir -p "$target" "$home/work" "$home/tmp" /busybox /outside/bin
chmod 0700 "$home/work"
chmod 1777 "$home/tmp"
rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /var/cache /var/lib/apt /var/log
tar --create --one-file-system --exclude=./proc --exclude=./sys --exclude=./dev --exclude=./run --exclude=./tmp \
    --exclude=./image --exclude=./busybox --exclude=./outside --exclude=".$home" --directory=/ . | tar --extract --directory="$target"

# What installs packages, and what no program of the builder's asks for.
( cd "$target" && rm -rf boot home media mnt opt/strake/lib/python3*/site-packages/pip* \
    opt/strake/lib/python3*/site-packages/setuptools* srv usr/bin/perl* usr/bin/scalar usr/games usr/include \
    usr/lib/apt usr/lib/dpkg usr/lib/git-core/scalar usr/lib/python3/dist-packages usr/lib/*-linux-gnu/perl* \
    usr/lib/systemd usr/share/perl* usr/share/python-wheels usr/share/zoneinfo var )

libraries=""
for directory in usr/local/lib "lib/$(uname -m)-linux-gnu" "usr/lib/$(uname -m)-linux-gnu"; do
    libraries="$libraries${libraries:+:}$target/$directory"
done

# Absolute links lead to the directory.
find "$target" -type l -lname '/*' | while read -r link; do
    goal=$(readlink "$link")
    case $goal in
        /proc/*|/dev/*) ;;
        *) ln -sfn "$target$goal" "$link" ;;
    esac
done

for file in "$target"/usr/local/bin/* "$target"/usr/bin/* "$target"/usr/sbin/* "$target"/bin/* "$target"/sbin/* \
    "$target"/usr/lib/git-core/* "$target"/opt/strake/bin/*; do
    if [ -L "$file" ] || [ ! -f "$file" ] || [ ! -x "$file" ]; then
        continue
    fi
    if loader=$(patchelf --print-interpreter "$file" 2>/dev/null); then
        case $loader in
            "$target"*) continue ;;
        esac
        patchelf --set-interpreter "$target$loader" --force-rpath --set-rpath "$libraries" "$file"
    elif [ "$(head -c 3 "$file")" = "#!/" ]; then
        sed -i "1s|^#!/|#!$target/|" "$file"
    fi
done
sed -i "s|^home = /|home = $target/|" "$target/opt/strake/pyvenv.cfg"

# git and crun's hooks start these two by their usual paths; a step's tree takes the directory's place.
ln -s "$target/bin/sh" "$target/bin/mount" /outside/bin/

cat > "$home/strake" <<END
#!$target/opt/strake/bin/python3 -P
from strake_builder.cli.main import main

main()
END
chmod 0755 "$home/strake"
"$home/strake" --version

# kaniko's names for it. A link, so that the root stays free for a step's tree and what pods mount there lies here.
mkdir -p "$home/kaniko/.docker" "$home/kaniko/ssl/certs"
chmod 0777 "$home/kaniko" "$home/kaniko/.docker"
ln -s "$home/strake" "$home/kaniko/executor"
ln -s "$home/strake" "$home/kaniko/warmer"
ln -s "$target/etc/ssl/certs/ca-certificates.crt" "$home/kaniko/ssl/certs/ca-certificates.crt"
ln -s "$home/kaniko" /outside/kaniko

cp "$(command -v busybox)" /busybox/busybox
for applet in $(/busybox/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "/busybox/$applet"
done
