# Adds an authority to Wine's store of trusted ones, or removes it: add|remove CA_FILE. `wine` is set by the script that
# reads this one. A value in the registry holds the certificate: property 32, version 1, length, DER.
set -eu
der=$(openssl x509 -in "$2" -outform DER | od -An -v -tx1 | tr -d ' \n')
hash=$(openssl x509 -in "$2" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g')
key="HKCU\\Software\\Microsoft\\SystemCertificates\\Root\\Certificates\\$hash"
length=$((${#der} / 2))
blob=$(printf '2000000001000000%02x%02x0000%s' $((length % 256)) $((length / 256)) "$der")
case $1 in
add) exec "$wine" reg add "$key" /v Blob /t REG_BINARY /d "$blob" /f ;;
remove) exec "$wine" reg delete "$key" /f ;;
esac
