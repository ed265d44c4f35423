# What Parlance needs of AWS to transcribe with Amazon Transcribe and to keep transcripts: a private bucket, and a user who may put objects into
# it, stream audio, and nothing else.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = {
      Application = "parlance"
      Environment = var.environment
    }
  }
}

# Bucket names are unique in the world: AWS puts digits behind the prefix.
resource "aws_s3_bucket" "transcripts" {
  bucket_prefix = "${var.bucket_prefix}-${var.environment}-"
}

resource "aws_s3_bucket_ownership_controls" "transcripts" {
  bucket = aws_s3_bucket.transcripts.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "transcripts" {
  bucket = aws_s3_bucket.transcripts.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "transcripts" {
  bucket = aws_s3_bucket.transcripts.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "transcripts" {
  bucket = aws_s3_bucket.transcripts.id

  versioning_configuration {
    status = "Enabled"
  }
}

# Nobody reads or writes without TLS.
data "aws_iam_policy_document" "tls_only" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.transcripts.arn, "${aws_s3_bucket.transcripts.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "tls_only" {
  bucket = aws_s3_bucket.transcripts.id
  policy = data.aws_iam_policy_document.tls_only.json

  # a policy that is put while public policies are just being blocked is refused now and then
  depends_on = [aws_s3_bucket_public_access_block.transcripts]
}

resource "aws_iam_user" "service" {
  name = "${var.iam_user_prefix}-${var.environment}"
}

data "aws_iam_policy_document" "service" {
  statement {
    sid       = "KeepTranscripts"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.transcripts.arn}/*"]
  }

  # streams have no ARN: the action cannot be narrowed
  statement {
    sid       = "Transcribe"
    actions   = ["transcribe:StartStreamTranscription"]
    resources = ["*"]
  }
}

resource "aws_iam_user_policy" "service" {
  name   = "transcribe-and-keep"
  user   = aws_iam_user.service.name
  policy = data.aws_iam_policy_document.service.json
}

resource "aws_iam_access_key" "service" {
  user = aws_iam_user.service.name
}
