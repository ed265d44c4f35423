variable "aws_region" {
  description = "AWS region for the bucket and for Amazon Transcribe (AWS_REGION)."
  type        = string
  default     = "us-east-1"
}

variable "bucket_prefix" {
  description = "What the bucket's name begins with."
  type        = string
  default     = "speech-transcription"

  # 37 characters are all that AWS leaves for a prefix; the environment and two dashes are part of it
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,22}$", var.bucket_prefix))
    error_message = "2 to 23 characters: small letters, digits and dashes."
  }
}

variable "iam_user_prefix" {
  description = "What the user's name begins with."
  type        = string
  default     = "transcription-service"
}

variable "environment" {
  description = "Part of both names, and a tag on everything."
  type        = string
  default     = "dev"

  validation {
    condition     = can(regex("^[a-z0-9-]{1,12}$", var.environment))
    error_message = "1 to 12 characters: small letters, digits and dashes."
  }
}
