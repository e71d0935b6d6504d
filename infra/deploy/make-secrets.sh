#!/bin/sh
# Makes what compose.yaml and kubernetes/ read as secrets: passwords, and certificates for Dask.
# Existing files are kept. Certificates last ten years; make new ones by deleting dask-*.pem.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets
secret() { openssl rand -hex 24; }

if [ ! -e postgres.env ]; then
  password=$(secret)
  prefect=$(secret)
  printf 'POSTGRES_PASSWORD=%s\n' "$password" > postgres.env
  printf 'PREFECT_API_DATABASE_CONNECTION_URL=postgresql+asyncpg://plimsoll:%s@postgres:5432/prefect\nPREFECT_SERVER_API_AUTH_STRING=plimsoll:%s\nPREFECT_SERVER_ENCRYPTION_KEY=%s\n' \
    "$password" "$prefect" "$(openssl rand -base64 32 | tr '+/' '-_')" > prefect.env
  printf 'PLIMSOLL_DATABASE_URL=postgresql+psycopg://plimsoll:%s@postgres:5432/margin\nPLIMSOLL_PREFECT_AUTH=plimsoll:%s\n' \
    "$password" "$prefect" > plimsoll.env
fi

if [ ! -e dask-cert.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=plimsoll dask authority" \
    -keyout dask-ca-key.pem -out dask-ca.pem 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=plimsoll dask" \
    -keyout dask-key.pem -out dask.csr 2>/dev/null
  openssl x509 -req -in dask.csr -CA dask-ca.pem -CAkey dask-ca-key.pem -CAcreateserial \
    -days 3650 -out dask-cert.pem 2>/dev/null
  rm -f dask.csr dask-ca.srl
fi
# The containers run as 10001 and read these files as they are on the host.
if [ "$(id -u)" = 0 ]; then
  chown 10001:10001 dask-ca.pem dask-cert.pem dask-key.pem
else
  echo "as root: chown 10001:10001 $(pwd)/dask-ca.pem $(pwd)/dask-cert.pem $(pwd)/dask-key.pem"
fi
echo "secrets are in $(pwd); keep dask-ca-key.pem elsewhere"
