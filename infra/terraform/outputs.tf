output "s3_bucket_name" {
  description = "S3_BUCKET"
  value       = aws_s3_bucket.transcripts.id
}

output "aws_region" {
  description = "AWS_REGION"
  value       = var.aws_region
}

output "aws_access_key_id" {
  description = "AWS_ACCESS_KEY_ID"
  value       = aws_iam_access_key.service.id
  sensitive   = true
}

output "aws_secret_access_key" {
  description = "AWS_SECRET_ACCESS_KEY"
  value       = aws_iam_access_key.service.secret
  sensitive   = true
}
