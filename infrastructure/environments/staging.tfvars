region          = "us-east-1"
bedrock_model   = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
anthropic_model = "claude-sonnet-4-5"

guardrail = {
  identifier = "s3h8d0c6w2yr"
  version    = "DRAFT"
}

enable_prompt_caching = true
