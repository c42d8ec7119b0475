#!/usr/bin/env bash
# Runs a stock kubectl against a registry and checks what it prints.
#
#   tests/kubectl.sh [SERVER_BINARY]
#
# Needs kubectl 1.30 or later. Not a part of `cargo test`, which needs nothing outside the
# repository. Without an argument the example server is built first.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
server=${1:-}
if [[ -z $server ]]; then
    cargo build --quiet -p bluegreen-registry --example registry
    server=${CARGO_TARGET_DIR:-$here/../../../target}/debug/examples/registry
fi

export KUBECONFIG=$work/kubeconfig KUBECACHEDIR=$work/cache
passed=0
failed=0

start() {
    "$server" "$KUBECONFIG" "$work/data.sqlite" <"$work/stdin" >"$work/address" 2>"$work/log" &
    server_pid=$!
    # Held open for as long as the server is to run.
    exec 9>"$work/stdin"
    for _ in $(seq 100); do
        [[ -s $work/address ]] && return
        sleep 0.05
    done
    echo "the server did not start:" >&2
    cat "$work/log" >&2
    exit 1
}

stop() {
    exec 9>&-
    wait "$server_pid"
}

finish() {
    kill "$server_pid" 2>/dev/null || true
    rm -rf "$work"
}

# expect STATUS PATTERN COMMAND...: the command exits with the status, and its output, with
# errors, matches the extended regular expression.
expect() {
    local status=$1 pattern=$2 output code=0
    shift 2
    output=$(timeout 30 "$@" 2>&1) || code=$?
    # Line breaks count as spaces, so that one pattern can span lines.
    if [[ $code -eq $status ]] && tr '\n' ' ' <<<"$output" | grep -Eq -- "$pattern"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED (exit %s, wanted %s): %s\n  wanted: %s\n%s\n' \
            "$code" "$status" "$*" "$pattern" "$output"
    fi
}

mkfifo "$work/stdin"
trap finish EXIT
start

cat >"$work/bad.yaml" <<'YAML'
apiVersion: demo.dev/v1
kind: Sample
metadata: {name: bad}
spec: {version: "x", mode: Later}
YAML
cat >"$work/rule.yaml" <<'YAML'
apiVersion: demo.dev/v1
kind: Sample
metadata: {name: bad}
spec: {version: "1", replicas: 11}
YAML
cat >"$work/unknown.yaml" <<'YAML'
apiVersion: demo.dev/v1
kind: Sample
metadata: {name: unknown}
spec: {version: "1", nope: 2}
YAML
sed 's/replicas: 2/replicas: 4/' "$here/manifests/sample.yaml" >"$work/changed.yaml"
sed 's/replicas: 2/replicas: 3/; /owner/d' "$here/manifests/sample.yaml" >"$work/fewer.yaml"

echo "# discovery and definitions"
expect 0 'Server Version: v1\.[0-9]+\.0\+embedded-registry' kubectl version
expect 0 'leases .*coordination\.k8s\.io/v1 +true +Lease' kubectl api-resources
expect 0 'customresourcedefinition.apiextensions.k8s.io/samples.demo.dev created' \
    kubectl create -f "$here/manifests/crd.yaml"
expect 1 'AlreadyExists.*customresourcedefinitions.apiextensions.k8s.io "samples.demo.dev" already exists' \
    kubectl create -f "$here/manifests/crd.yaml"
expect 0 'condition met' \
    kubectl wait --for=condition=Established crd/samples.demo.dev --timeout=5s
expect 0 'NAME +CREATED AT samples.demo.dev +20[0-9-]+T' kubectl get crd
expect 0 'smp +demo.dev/v1 +true +Sample' kubectl api-resources
expect 0 'DESCRIPTION: +What is wanted\..*version.*<string> -required-' \
    kubectl explain sample.spec
expect 0 'Accepted Names:.*Short Names: +smp.*Established' kubectl describe crd samples.demo.dev

echo "# create, apply, get, describe"
expect 0 'sample.demo.dev/one created' kubectl apply -f "$here/manifests/sample.yaml"
expect 0 'sample.demo.dev/one unchanged' kubectl apply -f "$here/manifests/sample.yaml"
expect 0 'NAME +VERSION +REPLICAS +READY +AGE one +1\.0 +2 +[0-9]+s' kubectl get samples
expect 0 'OWNER +AGE one +1\.0 +2 +ann +[0-9]+s' kubectl get smp -o wide
expect 0 'maxSurge: 25%' kubectl get smp one -o yaml
expect 0 '^"?one"? *$' kubectl get smp -o 'jsonpath={.items[*].metadata.name}'
expect 0 'sample.demo.dev/one configured' kubectl apply -f "$work/changed.yaml"
expect 0 '^4 *$' kubectl get smp one -o 'jsonpath={.spec.replicas}'
expect 0 'sample.demo.dev/one configured' kubectl apply -f "$work/fewer.yaml"
# A field that left the manifest leaves the object.
expect 0 '^\{.*"replicas":3' kubectl get smp one -o 'jsonpath={.spec}'
expect 0 '^ *$' kubectl get smp one -o 'jsonpath={.spec.owner}'
expect 1 'replicas: 3.*replicas: 4' kubectl diff -f "$work/changed.yaml"
expect 0 'Name: +one.*Kind: +Sample.*Events: +<none>' kubectl describe smp one
expect 0 'sample.demo.dev/one' kubectl get all -o name
expect 1 'samples.demo.dev "none" not found' kubectl get smp none

echo "# validation"
expect 1 'The Sample "bad" is invalid:.*spec.mode: Unsupported value: "Later": supported values: "Auto", "Manual".*spec.version: Invalid value: "x": spec.version in body should match' \
    kubectl create -f "$work/bad.yaml"
expect 1 'The Sample "bad" is invalid: spec.replicas: Invalid value: replicas must not exceed the limit' \
    kubectl create -f "$work/rule.yaml"
expect 1 'strict decoding error: unknown field "spec.nope"' kubectl create -f "$work/unknown.yaml"
expect 0 'Warning: unknown field "spec.nope".*created' \
    kubectl create --validate=warn -f "$work/unknown.yaml"
expect 0 'deleted' kubectl delete smp unknown
expect 1 'spec.team: Invalid value: "blue": team is immutable' \
    kubectl patch smp one --type=merge -p '{"spec":{"team":"blue"}}'

echo "# patch, annotate, label, status, wait"
expect 0 'one patched' kubectl patch smp one --type=merge -p '{"spec":{"replicas":5}}'
expect 0 'one patched \(no change\)' kubectl patch smp one --type=merge -p '{"spec":{"replicas":5}}'
expect 0 'one patched' kubectl patch smp one --type=json \
    -p '[{"op":"replace","path":"/spec/replicas","value":6}]'
expect 1 'the server rejected our request due to an error in our request' \
    kubectl patch smp one --type=json -p '[{"op":"test","path":"/spec/replicas","value":1}]'
expect 0 'one annotated' kubectl annotate smp one demo.dev/request='promote 2'
expect 1 'already has a value' kubectl annotate smp one demo.dev/request='abort 2'
expect 0 'one labeled' kubectl label smp one team=red
expect 0 '^one ' kubectl get smp -l 'team in (red)' --no-headers
expect 0 'No resources found' kubectl get smp -l team!=red
expect 0 'one patched' kubectl patch smp one --subresource=status --type=merge \
    -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]},"spec":{"replicas":9}}'
expect 0 'one +1\.0 +6 +True' kubectl get smp one
expect 0 'condition met' kubectl wait --for=condition=Ready smp/one --timeout=5s
expect 1 'timed out waiting' kubectl wait --for=condition=Ready=false smp/one --timeout=1s
expect 0 'edited' env KUBE_EDITOR='sed -i s/replicas:.6/replicas:\ 8/' kubectl edit smp one
expect 0 'one replaced' \
    bash -c "kubectl get smp one -o yaml | sed 's/replicas: 8/replicas: 7/' | kubectl replace -f -"

echo "# server-side apply"
expect 1 'conflict with "kubectl-[a-z]+" using demo.dev/v1.*\.spec\.replicas' \
    kubectl apply --server-side --field-manager=ci -f "$work/changed.yaml"
expect 0 'one serverside-applied' \
    kubectl apply --server-side --field-manager=ci --force-conflicts -f "$work/changed.yaml"
expect 0 'manager: ci +operation: Apply' kubectl get smp one -o yaml --show-managed-fields

echo "# events"
cat >"$work/event.yaml" <<'YAML'
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: one.1}
type: Warning
reason: Stuck
action: Wait
note: cannot go on
eventTime: "2026-01-02T03:04:05.000006Z"
reportingController: demo
reportingInstance: demo-1
regarding: {apiVersion: demo.dev/v1, kind: Sample, name: one, namespace: default}
YAML
expect 0 'event.events.k8s.io/one.1 created' kubectl create -f "$work/event.yaml"
expect 0 'LAST SEEN +TYPE +REASON +OBJECT +MESSAGE .*Warning +Stuck +sample/one +cannot go on' \
    kubectl get events
expect 0 'Warning +Stuck +Sample/one +cannot go on' kubectl events --for sample/one
uid=$(kubectl get smp one -o 'jsonpath={.metadata.uid}')
expect 0 'one.1 patched' kubectl patch event one.1 --type=merge \
    -p "{\"involvedObject\":{\"uid\":\"$uid\"}}"
expect 0 'Events:.*Warning +Stuck +.*demo +cannot go on' kubectl describe smp one

echo "# namespaces"
expect 0 'namespace/games created' kubectl create namespace games
expect 0 'namespace/games labeled' kubectl label namespace games tier=a
expect 0 'namespace/games annotated' kubectl annotate namespace games note=x
expect 0 'games +Active' kubectl get namespaces
expect 0 'Labels: .*tier=a.*Status: +Active' kubectl describe namespace games
expect 0 'one created' kubectl apply -n games -f "$here/manifests/sample.yaml"
expect 0 'default +one .*games +one ' kubectl get smp -A
expect 0 'namespace "games" deleted' kubectl delete namespace games
expect 0 'default +one ' kubectl get smp -A
expect 1 'namespaces "games" not found' kubectl apply -n games -f "$here/manifests/sample.yaml"

echo "# watch, finalizers, deletion"
timeout 20 kubectl get smp --watch >"$work/watch" 2>&1 &
watch_pid=$!
for _ in $(seq 100); do
    grep -q '^one' "$work/watch" && break
    sleep 0.05
done
expect 0 'one patched' kubectl patch smp one --type=merge \
    -p '{"metadata":{"finalizers":["demo.dev/hold"]},"spec":{"replicas":1}}'
expect 0 'deleted' kubectl delete smp one --wait=false
expect 1 'timed out waiting' kubectl wait --for=delete smp/one --timeout=1s
expect 0 'one patched' kubectl patch smp one --type=merge -p '{"metadata":{"finalizers":null}}'
expect 0 '' kubectl wait --for=delete smp/one --timeout=5s
expect 0 'NAME +VERSION +REPLICAS +READY +AGE one +1\.0 +4 +True .*one +1\.0 +1 +True ' \
    cat "$work/watch"
kill "$watch_pid" 2>/dev/null || true

echo "# restart"
expect 0 'created' kubectl create -f "$here/manifests/sample.yaml"
stop
start
expect 0 'one +1\.0 +2' kubectl get smp
expect 0 'sample.demo.dev "one" deleted' kubectl delete -f "$here/manifests/sample.yaml"
expect 0 'samples.demo.dev" deleted' kubectl delete crd samples.demo.dev
expect 1 "the server doesn't have a resource type|could not find the requested resource" \
    kubectl get smp

echo "# the token"
sed 's#/token/[^"]*#/token/wrong#' "$KUBECONFIG" >"$work/wrong"
expect 1 'You must be logged in' kubectl --kubeconfig "$work/wrong" get ns

stop
printf '%s passed, %s failed\n' "$passed" "$failed"
[[ $failed -eq 0 ]]
