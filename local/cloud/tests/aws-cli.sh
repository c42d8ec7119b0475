#!/bin/sh
# Speaks to the simulated AWS with the unmodified aws-cli and boto3: every operation group, the
# waiters and the paginators. Not a part of `cargo test`, which needs neither of the two.
#
#   local/cloud/tests/aws-cli.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cargo build --quiet -p bluegreen-cloud --example cloud --manifest-path "$here/../Cargo.toml"
binary="${CARGO_TARGET_DIR:-$here/../../../target}/debug/examples/cloud"

# The cloud runs until its standard input ends, which it does with this script however that ends.
mkfifo "$work/input"
"$binary" --listen 127.0.0.1:0 --calm --scale 5 <"$work/input" >"$work/built" &
cloud=$!
exec 9>"$work/input"
cleanup() {
  exec 9>&-
  wait "$cloud" || true
  rm -rf "$work"
}
trap cleanup EXIT
tries=0
while [ ! -s "$work/built" ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { echo "the cloud did not start" >&2; exit 1; }
  sleep 0.1
done
built() { python3 -c 'import json, sys; print(eval("json.load(open(sys.argv[1]))" + sys.argv[2]))' "$work/built" "$1"; }

endpoint=$(built '["endpoint"]')
# Without an endpoint the client would call the real AWS.
case "$endpoint" in http://127.*) ;; *) echo "no endpoint on loopback: '$endpoint'" >&2; exit 1 ;; esac
export AWS_ENDPOINT_URL="$endpoint" AWS_ACCESS_KEY_ID=AKIATEST AWS_SECRET_ACCESS_KEY=none
export AWS_DEFAULT_REGION=ap-northeast-2 AWS_DEFAULT_OUTPUT=text AWS_PAGER='' AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null

passed=0
check() { # what, expected, found
  if [ "$2" != "$3" ]; then
    echo "FAILED: $1: expected '$2', found '$3'" >&2
    exit 1
  fi
  passed=$((passed + 1))
  echo "ok: $1"
}
refused() { # what, code, command...
  what=$1 code=$2
  shift 2
  if "$@" >"$work/out" 2>&1; then echo "FAILED: $what was not refused" >&2; exit 1; fi
  grep -q "($code)" "$work/out" || { cat "$work/out" >&2; exit 1; }
  check "$what" "$code" "$code"
}

group=$(built '["targetGroups"][0]')
listener=$(built '["listener"]')
vpc=$(built '["vpc"]')
one=$(built '["instances"][0]')
two=$(built '["instances"][1]')
node=$(built '["nodes"][0]')

check 'sts get-caller-identity' 123456789012 "$(aws sts get-caller-identity --query Account)"
aws sts assume-role --role-arn arn:aws:iam::123456789012:role/releases --role-session-name cli --query AssumedRoleUser.Arn >"$work/role"
check 'sts assume-role' arn:aws:sts::123456789012:assumed-role/releases/cli "$(cat "$work/role")"

# SSM: both shipped documents, on real processes.
command_on() { # instances, document, parameters
  aws ssm send-command --instance-ids $1 --document-name "$2" --parameters "$3" --comment cli --query Command.CommandId
}
check 'ssm list-documents' BlueGreen-StartUnit "$(aws ssm list-documents --query 'DocumentIdentifiers[].Name' | tr '\t' '\n' | grep Start)"
check 'ssm describe-instance-information' 'Online Online' "$(aws ssm describe-instance-information --query 'InstanceInformationList[].PingStatus' | tr '\t' ' ')"
id=$(command_on "$one $two" BlueGreen-StartUnit unit=app@8080.service,version=1.0.0,port=8080)
aws ssm wait command-executed --command-id "$id" --instance-id "$one"
aws ssm wait command-executed --command-id "$id" --instance-id "$two"
check 'ssm list-command-invocations' '0 0' "$(aws ssm list-command-invocations --command-id "$id" --details --query 'CommandInvocations[].CommandPlugins[].ResponseCode' | tr '\t' ' ')"
check 'ssm list-commands' Success "$(aws ssm list-commands --command-id "$id" --query 'Commands[].Status')"
refused 'an injection' InvalidParameters command_on "$one" BlueGreen-StopUnit '{"unit":["x;reboot.service"]}'

# ELBv2: registration, health by the data plane, the drain, both waiters.
aws elbv2 register-targets --target-group-arn "$group" --targets "Id=$one,Port=8080" "Id=$two,Port=8080"
aws elbv2 wait target-in-service --target-group-arn "$group" --targets "Id=$one,Port=8080" "Id=$two,Port=8080"
check 'a request through the load balancer' 200 "$(curl -s -o /dev/null -w '%{http_code}' "http://$node:8000/")"
aws elbv2 deregister-targets --target-group-arn "$group" --targets "Id=$one,Port=8080"
check 'elbv2 describe-target-health' draining "$(aws elbv2 describe-target-health --target-group-arn "$group" --targets "Id=$one,Port=8080" --query 'TargetHealthDescriptions[].TargetHealth.State')"
aws elbv2 wait target-deregistered --target-group-arn "$group" --targets "Id=$one,Port=8080"
check 'elbv2 wait target-deregistered' Target.NotRegistered "$(aws elbv2 describe-target-health --target-group-arn "$group" --targets "Id=$one,Port=8080" --query 'TargetHealthDescriptions[].TargetHealth.Reason')"
id=$(command_on "$one" BlueGreen-StopUnit unit=app@8080.service,gracePeriod=10)
aws ssm wait command-executed --command-id "$id" --instance-id "$one"
check 'BlueGreen-StopUnit' stopped "$(aws ssm get-command-invocation --command-id "$id" --instance-id "$one" --query StandardOutputContent | cut -d' ' -f1)"

# ELBv2: groups, rules, weights, tags.
green=$(aws elbv2 create-target-group --name green --protocol HTTP --port 8080 --vpc-id "$vpc" --health-check-interval-seconds 5 --health-check-timeout-seconds 4 --matcher HttpCode=200-299 --query 'TargetGroups[0].TargetGroupArn')
check 'the same group again' "$green" "$(aws elbv2 create-target-group --name green --protocol HTTP --port 8080 --vpc-id "$vpc" --health-check-interval-seconds 5 --health-check-timeout-seconds 4 --matcher HttpCode=200-299 --query 'TargetGroups[0].TargetGroupArn')"
check 'elbv2 modify-target-group' 4 "$(aws elbv2 modify-target-group --target-group-arn "$green" --healthy-threshold-count 4 --query 'TargetGroups[0].HealthyThresholdCount')"
aws elbv2 modify-target-group-attributes --target-group-arn "$green" --attributes Key=deregistration_delay.timeout_seconds,Value=7 >/dev/null
check 'elbv2 describe-target-group-attributes' 7 "$(aws elbv2 describe-target-group-attributes --target-group-arn "$green" --query "Attributes[?Key=='deregistration_delay.timeout_seconds'].Value")"
weights() { printf '[{"Type":"forward","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"%s","Weight":%s},{"TargetGroupArn":"%s","Weight":%s}]}}]' "$group" "$1" "$green" "$2"; }
aws elbv2 modify-listener --listener-arn "$listener" --default-actions "$(weights 90 10)" >/dev/null
check 'elbv2 modify-listener' '90 10' "$(aws elbv2 describe-listeners --listener-arns "$listener" --query 'Listeners[].DefaultActions[].ForwardConfig.TargetGroups[].Weight' | tr '\t' ' ')"
refused 'a weight of 1000' ValidationError aws elbv2 modify-listener --listener-arn "$listener" --default-actions "$(weights 1000 0)"
rule() { aws elbv2 create-rule --listener-arn "$listener" --priority 5 --conditions Field=path-pattern,Values='/preview/*' --actions "Type=forward,TargetGroupArn=$green" --query 'Rules[0].RuleArn'; }
preview=$(rule)
refused 'a priority in use' PriorityInUse rule
check 'elbv2 modify-rule' "$green" "$(aws elbv2 modify-rule --rule-arn "$preview" --actions "Type=forward,TargetGroupArn=$green" --query 'Rules[0].Actions[0].TargetGroupArn')"
check 'elbv2 set-rule-priorities' 9 "$(aws elbv2 set-rule-priorities --rule-priorities "RuleArn=$preview,Priority=9" --query 'Rules[0].Priority')"
check 'elbv2 describe-rules' '9 default' "$(aws elbv2 describe-rules --listener-arn "$listener" --query 'Rules[].Priority' | tr '\t' ' ')"
refused 'a group in use' ResourceInUse aws elbv2 delete-target-group --target-group-arn "$green"
aws elbv2 delete-rule --rule-arn "$preview"
aws elbv2 modify-listener --listener-arn "$listener" --default-actions "Type=forward,TargetGroupArn=$group" >/dev/null
aws elbv2 add-tags --resource-arns "$green" --tags Key=team,Value=games
check 'elbv2 describe-tags' games "$(aws elbv2 describe-tags --resource-arns "$green" --query 'TagDescriptions[].Tags[].Value')"
aws elbv2 remove-tags --resource-arns "$green" --tag-keys team
aws elbv2 delete-target-group --target-group-arn "$green"
check 'elbv2 describe-target-groups' games "$(aws elbv2 describe-target-groups --query 'TargetGroups[].TargetGroupName')"

# ELBv2: a load balancer of one's own.
subnets=$(aws ec2 describe-subnets --filters "Name=vpc-id,Values=$vpc" --query 'Subnets[].SubnetId')
second=$(aws elbv2 create-load-balancer --name second --subnets $subnets --query 'LoadBalancers[0].LoadBalancerArn')
aws elbv2 wait load-balancer-available --load-balancer-arns "$second"
aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$second" --attributes Key=idle_timeout.timeout_seconds,Value=90 >/dev/null
check 'elbv2 describe-load-balancer-attributes' 90 "$(aws elbv2 describe-load-balancer-attributes --load-balancer-arn "$second" --query "Attributes[?Key=='idle_timeout.timeout_seconds'].Value")"
fixed=$(aws elbv2 create-listener --load-balancer-arn "$second" --protocol HTTP --port 8001 --default-actions 'Type=fixed-response,FixedResponseConfig={StatusCode=503,ContentType=text/plain,MessageBody=closed}' --query 'Listeners[0].ListenerArn')
aws elbv2 delete-listener --listener-arn "$fixed"
aws elbv2 delete-load-balancer --load-balancer-arn "$second"
check 'elbv2 describe-load-balancers' games "$(aws elbv2 describe-load-balancers --query 'LoadBalancers[].LoadBalancerName')"

# EC2: templates, launching once, tags, power, protection.
template=$(aws ec2 create-launch-template --launch-template-name games --launch-template-data '{"ImageId":"ami-1","InstanceType":"t3.micro"}' --query LaunchTemplate.LaunchTemplateId)
aws ec2 create-launch-template-version --launch-template-id "$template" --source-version 1 --launch-template-data '{"ImageId":"ami-2"}' >/dev/null
check 'ec2 describe-launch-template-versions' 't3.micro t3.micro' "$(aws ec2 describe-launch-template-versions --launch-template-id "$template" --query 'LaunchTemplateVersions[].LaunchTemplateData.InstanceType' | tr '\t' ' ')"
run() { aws ec2 run-instances --launch-template "LaunchTemplateId=$template,Version=2" --count 1 --client-token one --tag-specifications 'ResourceType=instance,Tags=[{Key=app,Value=new}]' --query 'Instances[0].InstanceId'; }
new=$(run)
check 'the same client token' "$new" "$(run)"
aws ec2 wait instance-exists --instance-ids "$new"
aws ec2 wait instance-running --instance-ids "$new"
aws ec2 wait instance-status-ok --instance-ids "$new"
check 'ec2 describe-instances' "$new" "$(aws ec2 describe-instances --filters Name=tag:app,Values=new Name=instance-state-name,Values=running --query 'Reservations[].Instances[].InstanceId')"
aws ec2 create-tags --resources "$new" --tags Key=Version,Value=1.8.0
check 'ec2 describe-tags' 1.8.0 "$(aws ec2 describe-tags --filters "Name=resource-id,Values=$new" Name=key,Values=Version --query 'Tags[].Value')"
aws ec2 delete-tags --resources "$new" --tags Key=Version
aws ec2 stop-instances --instance-ids "$new" >/dev/null
aws ec2 wait instance-stopped --instance-ids "$new"
refused 'registering a stopped instance' InvalidTarget aws elbv2 register-targets --target-group-arn "$group" --targets "Id=$new"
aws ec2 start-instances --instance-ids "$new" >/dev/null
aws ec2 modify-instance-attribute --instance-id "$new" --disable-api-termination
refused 'a protected instance' OperationNotPermitted aws ec2 terminate-instances --instance-ids "$new"
aws ec2 modify-instance-attribute --instance-id "$new" --no-disable-api-termination
aws ec2 terminate-instances --instance-ids "$new" >/dev/null
aws ec2 wait instance-terminated --instance-ids "$new"
check 'ec2 describe-vpcs' "$vpc" "$(aws ec2 describe-vpcs --query 'Vpcs[].VpcId')"
check 'ec2 describe-availability-zones' 'ap-northeast-2a ap-northeast-2c' "$(aws ec2 describe-availability-zones --query 'AvailabilityZones[].ZoneName' | tr '\t' ' ')"

python3 "$here/boto3_check.py" "$group" "$one" "$two"
echo "$passed passed, 0 failed"
