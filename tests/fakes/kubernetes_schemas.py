"""Schemas of the kinds that scaling sends, reads and ships, after the OpenAPI that Kubernetes, KEDA and CloudNativePG
publish. Only the fields that occur here are listed and no other is let pass, which is stricter than a real server is.
"""

from __future__ import annotations

from typing import Any

INT32 = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
COUNT = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
TEXT = {"type": "string"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
QUANTITY = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|Ki|Mi|Gi)?$"}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def listed(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


def kind(version: str, name: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    heads = {"apiVersion": {"const": version}, "kind": {"const": name}, "metadata": METADATA}
    return closed({**heads, **properties}, "apiVersion", "kind", "metadata", *required)


METADATA = closed(
    {
        "name": {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253},
        "namespace": TEXT,
        "uid": TEXT,
        "resourceVersion": TEXT,
        "generation": {"type": "integer"},
        "creationTimestamp": TEXT,
        "labels": TEXTS,
        "annotations": TEXTS,
        "ownerReferences": listed(
            closed(
                {"apiVersion": TEXT, "kind": TEXT, "name": TEXT, "uid": TEXT, "controller": {"type": "boolean"},
                 "blockOwnerDeletion": {"type": "boolean"}},
                "apiVersion", "kind", "name", "uid",
            )
        ),
    }
)  # fmt: skip

SCALE = kind(
    "autoscaling/v1",
    "Scale",
    {"spec": closed({"replicas": COUNT}), "status": closed({"replicas": INT32, "selector": TEXT}, "replicas")},
)

CONDITION = closed(
    {"type": TEXT, "status": {"enum": ["True", "False", "Unknown"]}, "reason": TEXT, "message": TEXT,
     "lastUpdateTime": TEXT, "lastTransitionTime": TEXT},
    "type", "status",
)  # fmt: skip

DEPLOYMENT = kind(
    "apps/v1",
    "Deployment",
    {
        "spec": closed(
            {
                "replicas": COUNT,
                "selector": closed({"matchLabels": TEXTS}),
                "strategy": {"type": "object"},
                "template": {"type": "object"},
            },
            "selector",
            "template",
        ),
        "status": closed(
            {
                "observedGeneration": {"type": "integer"},
                "replicas": INT32,
                "updatedReplicas": INT32,
                "readyReplicas": INT32,
                "availableReplicas": INT32,
                "unavailableReplicas": INT32,
                "terminatingReplicas": INT32,
                "collisionCount": INT32,
                "conditions": listed(CONDITION),
            }
        ),
    },
)

TARGET_REFERENCE = closed({"apiVersion": TEXT, "kind": TEXT, "name": TEXT}, "kind", "name")

SCALING_RULES = closed(
    {
        "stabilizationWindowSeconds": {"type": "integer", "minimum": 0, "maximum": 3600},
        "selectPolicy": {"enum": ["Max", "Min", "Disabled"]},
        "tolerance": QUANTITY,
        "policies": listed(
            closed(
                {
                    "type": {"enum": ["Pods", "Percent"]},
                    "value": {"type": "integer", "minimum": 1},
                    "periodSeconds": {"type": "integer", "minimum": 1, "maximum": 1800},
                },
                "type",
                "value",
                "periodSeconds",
            )
        ),
    }
)
BEHAVIOR = closed({"scaleUp": SCALING_RULES, "scaleDown": SCALING_RULES})

AUTOSCALER = kind(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    {
        "spec": closed(
            {
                "scaleTargetRef": TARGET_REFERENCE,
                "minReplicas": INT32,
                "maxReplicas": INT32,
                "metrics": listed({"type": "object"}),
                "behavior": BEHAVIOR,
            },
            "scaleTargetRef",
            "maxReplicas",
        ),
        "status": {"type": "object"},
    },
)

SCALED_OBJECT = kind(
    "keda.sh/v1alpha1",
    "ScaledObject",
    {
        "spec": closed(
            {
                "scaleTargetRef": closed(
                    {"apiVersion": TEXT, "kind": TEXT, "name": TEXT, "envSourceContainerName": TEXT}, "name"
                ),
                "pollingInterval": INT32,
                "cooldownPeriod": INT32,
                "initialCooldownPeriod": INT32,
                "idleReplicaCount": INT32,
                "minReplicaCount": INT32,
                "maxReplicaCount": INT32,
                "fallback": closed(
                    {
                        "failureThreshold": COUNT,
                        "replicas": COUNT,
                        "behavior": {
                            "enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]
                        },
                    },
                    "failureThreshold",
                    "replicas",
                ),
                "advanced": closed(
                    {
                        "horizontalPodAutoscalerConfig": closed({"behavior": BEHAVIOR, "name": TEXT}),
                        "restoreToOriginalReplicaCount": {"type": "boolean"},
                    }
                ),
                "triggers": listed(
                    closed(
                        {
                            "type": TEXT,
                            "name": TEXT,
                            "metricType": {"enum": ["AverageValue", "Value", "Utilization"]},
                            "metadata": TEXTS,
                            "authenticationRef": closed({"name": TEXT, "kind": TEXT}, "name"),
                            "useCachedMetrics": {"type": "boolean"},
                        },
                        "type",
                        "metadata",
                    ),
                    1,
                ),
            },
            "scaleTargetRef",
            "triggers",
        ),
        "status": {"type": "object"},
    },
    "spec",
)

TRIGGER_AUTHENTICATION = kind(
    "keda.sh/v1alpha1",
    "TriggerAuthentication",
    {
        "spec": closed(
            {
                "secretTargetRef": listed(
                    closed({"parameter": TEXT, "name": TEXT, "key": TEXT}, "parameter", "name", "key"), 1
                )
            }
        )
    },
    "spec",
)

CLUSTER = kind(
    "postgresql.cnpg.io/v1",
    "Cluster",
    {
        "spec": closed(
            {
                "instances": {"type": "integer", "minimum": 1},
                "minSyncReplicas": COUNT,
                "maxSyncReplicas": COUNT,
                "postgresql": closed(
                    {
                        "parameters": TEXTS,
                        "synchronous": closed(
                            {
                                "method": {"enum": ["any", "first"]},
                                "number": {"type": "integer", "minimum": 1},
                                "dataDurability": {"enum": ["required", "preferred"]},
                            },
                            "method",
                            "number",
                        ),
                    }
                ),
                "storage": closed({"size": QUANTITY}),
            },
            "instances",
        ),
        "status": closed(
            {
                "instances": {"type": "integer"},
                "readyInstances": {"type": "integer"},
                "currentPrimary": TEXT,
                "targetPrimary": TEXT,
                "phase": TEXT,
            }
        ),
    },
    "spec",
)

SERVICE_ACCOUNT = kind("v1", "ServiceAccount", {"automountServiceAccountToken": {"type": "boolean"}})

ROLE = kind(
    "rbac.authorization.k8s.io/v1",
    "Role",
    {
        "rules": listed(
            closed(
                {"apiGroups": listed(TEXT, 1), "resources": listed(TEXT, 1), "resourceNames": listed(TEXT, 1),
                 "verbs": listed({"enum": ["get", "list", "watch", "create", "update", "patch", "delete"]}, 1)},
                "apiGroups", "resources", "verbs",
            ), 1,
        )
    },
    "rules",
)  # fmt: skip

ROLE_BINDING = kind(
    "rbac.authorization.k8s.io/v1",
    "RoleBinding",
    {
        "roleRef": closed(
            {"apiGroup": {"const": "rbac.authorization.k8s.io"}, "kind": {"enum": ["Role"]}, "name": TEXT},
            "apiGroup", "kind", "name",
        ),
        "subjects": listed(
            closed({"kind": {"enum": ["ServiceAccount"]}, "name": TEXT, "namespace": TEXT}, "kind", "name"), 1
        ),
    },
    "roleRef", "subjects",
)  # fmt: skip

SCHEMAS = {
    "Scale": SCALE,
    "Deployment": DEPLOYMENT,
    "HorizontalPodAutoscaler": AUTOSCALER,
    "ScaledObject": SCALED_OBJECT,
    "TriggerAuthentication": TRIGGER_AUTHENTICATION,
    "Cluster": CLUSTER,
    "ServiceAccount": SERVICE_ACCOUNT,
    "Role": ROLE,
    "RoleBinding": ROLE_BINDING,
}


def as_patch(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a merge patch: any part may be left out, and null removes it."""
    loose = {name: value for name, value in schema.items() if name != "required"}
    if "properties" in loose:
        loose["properties"] = {name: as_patch(value) for name, value in loose["properties"].items()}
    return loose
