"""The wire contract of the AWS services, from botocore's models: input types, checks, wording of validation errors."""

from opentrail.contract.compiled import ErrorShape, OperationContract, operation

__all__ = ["ErrorShape", "OperationContract", "operation"]
