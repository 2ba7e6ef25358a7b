#!/usr/bin/env bash
# deploy/check.sh [TOOL]: has every file here read by the tool that is made for it, or by TOOL alone. A tool that is not
# there is a line "skip"; `scripts/install-packages.sh deploy` and `pip install -r tools/deploy/requirements.txt` bring
# most of them. ropewalk is one of the tools. Ends with 1 where a tool refused a file, with 77 where TOOL is not there.
set -u
cd "$(dirname "$0")" || exit 2
only=${1:-}
PATH=$PATH:/usr/sbin:/sbin
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0 skipped=0 ran=0

check() {  # TOOL WHAT COMMAND...: prints the command's words only where it fails
  local tool=$1 what=$2; shift 2
  [ -z "$only" ] || [ "$tool" = "$only" ] || return
  if ! command -v "$tool" > /dev/null; then
    echo "skip $what: no $tool"; skipped=$((skipped + 1)); return
  fi
  if "$@" > "$scratch/said" 2>&1; then
    echo "ok   $what: $tool"; ran=$((ran + 1))
  else
    echo "FAIL $what: $tool"; sed 's/^/       /' "$scratch/said"; failures=$((failures + 1))
  fi
}

here() { sed -E 's/ropewalk-([12]):8000/127.0.0.1:800\1/' "$1"; }  # names that only exist in compose.yaml

here nginx.conf > "$scratch/nginx.conf"
check nginx nginx.conf nginx -t -q -p "$scratch" -c "$scratch/nginx.conf"
here haproxy.cfg > "$scratch/haproxy.cfg"
check haproxy haproxy.cfg haproxy -c -q -f "$scratch/haproxy.cfg"

# It looks for the program where the unit has it, and only prints what it does not like.
sed 's#/usr/local/bin/ropewalk#/bin/true#' ropewalk.service > "$scratch/ropewalk.service"
check systemd-analyze ropewalk.service bash -c "! systemd-analyze verify --man=no $scratch/ropewalk.service 2>&1 | grep ."

cp monitoring/alerts.yaml "$scratch"
sed 's#/run/secrets/metrics_key#/dev/null#' monitoring/prometheus.yml > "$scratch/prometheus.yml"
check promtool monitoring/prometheus.yml promtool check config "$scratch/prometheus.yml"
check promtool monitoring/alerts_test.yaml promtool test rules monitoring/alerts_test.yaml
# The dashboard's queries as recording rules, with values for Grafana's variables.
dashboard_rules() {
  echo 'groups: [{name: dashboard, rules: ['
  sed -nE 's/^ *"expr": (".*"),?$/\1/p' monitoring/grafana.json |
    sed -e 's/\$__rate_interval/5m/g' -e 's/\$\(model\|instance\)/.*/g' -e 's/.*/{record: panel, expr: &},/'
  echo ']}]'
}
dashboard_rules > "$scratch/dashboard.yaml"
check promtool monitoring/grafana.json promtool check rules --lint=none "$scratch/dashboard.yaml"

check hadolint Containerfile hadolint Containerfile
check check-jsonschema compose.yaml check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
check kubernetes-validate 'k8s/*.yaml' kubernetes-validate --strict --quiet k8s/{deployment,service,pdb,networkpolicy,hpa,batch-job}.yaml
check kubectl kustomization.yaml kubectl kustomize .
check yamllint '*.yaml' yamllint --strict -d '{extends: default, rules: {document-start: disable, line-length: {max: 120},
  braces: {max-spaces-inside: 0}, brackets: {max-spaces-inside: 0}, comments: {min-spaces-from-content: 1}}}' \
  ./*.yaml k8s/*.yaml monitoring/*.yaml monitoring/*.yml
check shellcheck '*.sh' shellcheck --severity=warning ./*.sh batch/*.sh
check ropewalk serve.yaml ropewalk config --dump serve.yaml

echo "$failures failed, $skipped skipped"
[ -n "$only" ] && [ $((failures + ran)) -eq 0 ] && exit 77
exit $((failures > 0))
