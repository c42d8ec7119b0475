"""Waiters and paginators of an unmodified boto3 against the simulated AWS; see aws-cli.sh."""

import sys
import urllib.request
import json
import os

import boto3
import botocore.exceptions
from botocore.config import Config

GROUP, ONE, TWO = sys.argv[1:]
CONFIG = Config(retries={"mode": "standard", "max_attempts": 3})
elb = boto3.client("elbv2", config=CONFIG)
ec2 = boto3.client("ec2", config=CONFIG)
ssm = boto3.client("ssm", config=CONFIG)


def door(method, path, body=None):
    """One of the simulation's own doors."""
    url = f"{os.environ['AWS_ENDPOINT_URL']}/_sim/{path}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method)) as reply:
        return json.load(reply)


def pages():
    groups = [
        elb.create_target_group(Name=f"page-{n}", Protocol="HTTP", Port=8080, VpcId=vpc())["TargetGroups"][0]
        for n in range(5)
    ]
    paginator = elb.get_paginator("describe_target_groups")
    seen = [page["TargetGroups"] for page in paginator.paginate(PaginationConfig={"PageSize": 2})]
    assert [len(page) for page in seen] == [2, 2, 2], seen
    for group in groups:
        elb.delete_target_group(TargetGroupArn=group["TargetGroupArn"])
    paginator = ec2.get_paginator("describe_instances")
    seen = [len(page["Reservations"]) for page in paginator.paginate(MaxResults=5)]
    assert sum(seen) >= 2, seen
    commands = list(ssm.get_paginator("list_commands").paginate(PaginationConfig={"PageSize": 1}))
    assert len(commands) >= 2, commands


def vpc():
    return ec2.describe_vpcs()["Vpcs"][0]["VpcId"]


def waiters():
    target = {"Id": TWO, "Port": 8080}
    elb.get_waiter("target_in_service").wait(TargetGroupArn=GROUP, Targets=[target])
    elb.deregister_targets(TargetGroupArn=GROUP, Targets=[target])
    # A wrong port makes the stock waiter succeed at once, as it does on the real service.
    elb.get_waiter("target_deregistered").wait(
        TargetGroupArn=GROUP, Targets=[{"Id": TWO, "Port": 1}], WaiterConfig={"MaxAttempts": 1}
    )
    state = elb.describe_target_health(TargetGroupArn=GROUP, Targets=[target])
    assert state["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "draining", state
    elb.get_waiter("target_deregistered").wait(TargetGroupArn=GROUP, Targets=[target])


def faults():
    """A lost reply is repeated by the client, so that the call is carried out twice."""
    before = len(door("GET", "ledger"))
    door("POST", "faults", {"action": "RegisterTargets", "kind": "dropAfter", "times": 1})
    elb.register_targets(TargetGroupArn=GROUP, Targets=[{"Id": TWO, "Port": 8080}])
    calls = door("GET", f"ledger?since={before}")
    calls = [call for call in calls if call["action"].endswith(":RegisterTargets")]
    assert [call["outcome"]["kind"] for call in calls] == ["dropped", "success"], calls
    door("POST", "faults", {"action": "*", "kind": "accessDenied", "times": 1})
    try:
        ssm.list_commands()
        raise AssertionError("the call was not denied")
    except botocore.exceptions.ClientError as err:
        assert err.response["Error"]["Code"] == "AccessDeniedException", err


def documents():
    content = {
        "schemaVersion": "2.2",
        "mainSteps": [{"action": "aws:runShellScript", "name": "say", "inputs": {"runCommand": ["echo hello"]}}],
    }
    ssm.create_document(Name="Say", Content=json.dumps(content), DocumentType="Command", DocumentFormat="JSON")
    assert json.loads(ssm.get_document(Name="Say")["Content"]) == content
    sent = ssm.send_command(DocumentName="Say", Targets=[{"Key": "tag:app", "Values": ["games"]}])
    command = sent["Command"]["CommandId"]
    for instance in (ONE, TWO):
        ssm.get_waiter("command_executed").wait(
            CommandId=command, InstanceId=instance, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        got = ssm.get_command_invocation(CommandId=command, InstanceId=instance)
        assert (got["ResponseCode"], got["StandardOutputContent"]) == (0, "hello\n"), got
    try:
        ssm.get_command_invocation(CommandId=command, InstanceId="i-0")
        raise AssertionError("there is no such invocation")
    except ssm.exceptions.InvocationDoesNotExist:
        pass


for check in (pages, waiters, documents, faults):
    check()
    print(f"ok: boto3 {check.__name__}")
